/*
 * raw_record.h - TLS records over EVP, and how the secrets leave OpenSSL after the
 * handshake: as little as the reference programs raw_tls and raw_tls_client need. It
 * checks the authenticity of records and nothing else; nothing of net/tls is used, so
 * that both can be compared.
 */
#ifndef BENCH_RAW_RECORD_H
#define BENCH_RAW_RECORD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>

#define RECORD_HEADER 5
#define RECORD_TAG 16
#define RECORD_DATA 16384

struct raw_side {
	uint8_t secret[48], key[32], iv[12];
	uint64_t sequence;
	EVP_CIPHER_CTX *context;
};

struct raw_records {
	struct raw_side in, out;
	int is_1_3, aead, hash_bytes; /* aead: 0 AES-128, 1 AES-256, 2 ChaCha20 */
	int is_server;
};

static const int raw_key_bytes[] = { 16, 32, 32 };

static inline const EVP_CIPHER *
raw_cipher(int aead)
{
	static EVP_CIPHER *ciphers[3];
	if (ciphers[0] == NULL) {
		ciphers[0] = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
		ciphers[1] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
		ciphers[2] = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
	}
	return ciphers[aead];
}

static inline const EVP_MD *
raw_hash(const struct raw_records *records)
{
	return records->hash_bytes == 48 ? EVP_sha384() : EVP_sha256();
}

/* RFC 8446, 7.1 */
static inline void
raw_expand(const struct raw_records *records, const uint8_t *secret, const char *label,
    uint8_t *out, size_t length)
{
	uint8_t info[64], block[64];
	size_t n = strlen(label), at = 0;
	unsigned got;
	info[at++] = 0;
	info[at++] = (uint8_t)length;
	info[at++] = (uint8_t)(n + 6);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, n);
	at += 6 + n;
	info[at++] = 0;
	info[at++] = 1;
	HMAC(raw_hash(records), secret, records->hash_bytes, info, at, block, &got);
	memcpy(out, block, length);
}

/* RFC 5246, 6.3 */
static inline void
raw_keys_1_2(struct raw_records *records, const uint8_t *master, const uint8_t *client,
    const uint8_t *server)
{
	uint8_t seed[77], a[64 + 77], block[64], out[176];
	unsigned n;
	size_t key = (size_t)raw_key_bytes[records->aead],
	       iv = records->aead == 2 ? 12 : 4;
	struct raw_side *c = records->is_server ? &records->in : &records->out;
	struct raw_side *s = records->is_server ? &records->out : &records->in;
	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, server, 32);
	memcpy(seed + 45, client, 32);
	HMAC(raw_hash(records), master, 48, seed, sizeof(seed), a, &n);
	for (size_t done = 0; done < 2 * (key + iv); done += n) {
		memcpy(a + n, seed, sizeof(seed));
		HMAC(raw_hash(records), master, 48, a, n + sizeof(seed), block, &n);
		memcpy(out + done, block, n);
		HMAC(raw_hash(records), master, 48, a, n, block, &n);
		memcpy(a, block, n);
	}
	memcpy(c->key, out, key);
	memcpy(s->key, out + key, key);
	memcpy(c->iv, out + 2 * key, iv);
	memcpy(s->iv, out + 2 * key + iv, iv);
}

/* The nonce and the additional data of a record; the length of the latter. */
static inline int
raw_nonce(const struct raw_records *records, const struct raw_side *side,
    const uint8_t *record, size_t plain, uint8_t *nonce, uint8_t *aad)
{
	if (records->is_1_3 || records->aead == 2) {
		memcpy(nonce, side->iv, 12);
		for (int i = 0; i < 8; i++)
			nonce[4 + i] ^= (uint8_t)(side->sequence >> (56 - 8 * i));
	} else {
		memcpy(nonce, side->iv, 4);
		memcpy(nonce + 4, record + RECORD_HEADER, 8);
	}
	if (records->is_1_3) {
		memcpy(aad, record, RECORD_HEADER);
		return RECORD_HEADER;
	}
	for (int i = 0; i < 8; i++)
		aad[i] = (uint8_t)(side->sequence >> (56 - 8 * i));
	memcpy(aad + 8, record, 3);
	aad[11] = (uint8_t)(plain >> 8);
	aad[12] = (uint8_t)plain;
	return 13;
}

/* Seals at most RECORD_DATA bytes; the length of the record. */
static inline size_t
raw_seal(struct raw_records *records, uint8_t type, const uint8_t *data, size_t length,
    uint8_t *out)
{
	uint8_t nonce[12], aad[13];
	struct raw_side *side = &records->out;
	size_t before = !records->is_1_3 && records->aead != 2 ? 8 : 0;
	size_t wire = before + length + (records->is_1_3 ? 1 : 0) + RECORD_TAG;
	uint8_t *to = out + RECORD_HEADER + before;
	int n;
	out[0] = records->is_1_3 ? 23 : type;
	out[1] = out[2] = 3;
	out[3] = (uint8_t)(wire >> 8);
	out[4] = (uint8_t)wire;
	for (size_t i = 0; i < before; i++)
		out[RECORD_HEADER + i] = (uint8_t)(side->sequence >> (56 - 8 * i));
	int aad_length = raw_nonce(records, side, out, length, nonce, aad);
	EVP_EncryptInit_ex(side->context, NULL, NULL, NULL, nonce);
	EVP_EncryptUpdate(side->context, NULL, &n, aad, aad_length);
	EVP_EncryptUpdate(side->context, to, &n, data, (int)length);
	if (records->is_1_3)
		EVP_EncryptUpdate(side->context, to + length, &n, &type, 1);
	EVP_EncryptFinal_ex(side->context, to, &n);
	EVP_CIPHER_CTX_ctrl(side->context, EVP_CTRL_AEAD_GET_TAG, RECORD_TAG,
	    out + RECORD_HEADER + wire - RECORD_TAG);
	side->sequence++;
	return RECORD_HEADER + wire;
}

/* Opens a whole record in place: the bytes of data at *ret_data, or -1 if it is not
 * authentic. */
static inline long
raw_open(
    struct raw_records *records, uint8_t *record, uint8_t *ret_type, uint8_t **ret_data)
{
	uint8_t nonce[12], aad[13];
	struct raw_side *side = &records->in;
	size_t before = !records->is_1_3 && records->aead != 2 ? 8 : 0;
	size_t length = ((size_t)record[3] << 8 | record[4]) - before - RECORD_TAG;
	uint8_t *data = record + RECORD_HEADER + before;
	int n, aad_length = raw_nonce(records, side, record, length, nonce, aad);
	if (length > RECORD_DATA + 256)
		return -1;
	EVP_DecryptInit_ex(side->context, NULL, NULL, NULL, nonce);
	EVP_DecryptUpdate(side->context, NULL, &n, aad, aad_length);
	EVP_DecryptUpdate(side->context, data, &n, data, (int)length);
	EVP_CIPHER_CTX_ctrl(
	    side->context, EVP_CTRL_AEAD_SET_TAG, RECORD_TAG, data + length);
	if (EVP_DecryptFinal_ex(side->context, data + length, &n) <= 0)
		return -1;
	side->sequence++;
	*ret_type = record[0];
	if (records->is_1_3) {
		while (length > 0 && data[length - 1] == 0)
			length--;
		if (length == 0)
			return -1;
		*ret_type = data[--length];
	}
	*ret_data = data;
	return (long)length;
}

/* The key log callback is called when a direction changes to the secret that it names;
 * the records counted from there on are the sequence number. */
static inline void
raw_on_key_log(const SSL *ssl, const char *line)
{
	struct raw_records *records = SSL_get_app_data(ssl);
	int is_client = strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
	int is_server = strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) == 0;
	if (!is_client && !is_server)
		return;
	struct raw_side *side =
	    is_client == records->is_server ? &records->in : &records->out;
	const char *at = strchr(line + 24, ' ') + 1;
	for (int i = 0; at[2 * i] != '\0' && i < 48; i++) {
		unsigned value = 0;
		sscanf(at + 2 * i, "%2x", &value);
		side->secret[i] = (uint8_t)value;
	}
	side->sequence = 0;
}

static inline void
raw_on_message(int is_sent, int version, int type, const void *data, size_t length,
    SSL *ssl, void *argument)
{
	struct raw_records *records = SSL_get_app_data(ssl);
	struct raw_side *side = is_sent ? &records->out : &records->in;
	(void)version, (void)length, (void)argument;
	if (type == SSL3_RT_HEADER)
		side->sequence = *(const uint8_t *)data == 20 ? 0 : side->sequence + 1;
}

/* A context of either side, whose SSL objects have a struct raw_records each. */
static inline SSL_CTX *
raw_context(int is_server, const char *version)
{
	SSL_CTX *context =
	    SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
	int v = strcmp(version, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
	SSL_CTX_set_min_proto_version(context, v);
	SSL_CTX_set_max_proto_version(context, v);
	SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(context, 1);
	SSL_CTX_set_keylog_callback(context, raw_on_key_log);
	SSL_CTX_set_msg_callback(context, raw_on_message);
	return context;
}

static inline void
raw_side_start(struct raw_records *records, struct raw_side *side, int is_seal)
{
	if (records->is_1_3) {
		raw_expand(records, side->secret, "key", side->key,
		    (size_t)raw_key_bytes[records->aead]);
		raw_expand(records, side->secret, "iv", side->iv, sizeof(side->iv));
	}
	side->context = EVP_CIPHER_CTX_new();
	EVP_CipherInit_ex(
	    side->context, raw_cipher(records->aead), NULL, side->key, NULL, is_seal);
}

/* After the handshake: takes the keys and frees the SSL object. */
static inline void
raw_take(SSL *ssl, struct raw_records *records)
{
	uint8_t master[48], client[32], server[32];
	unsigned suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl));
	records->is_1_3 = SSL_version(ssl) == TLS1_3_VERSION;
	records->aead = 2;
	if (suite == 0x1301 || suite == 0xc02b || suite == 0xc02f)
		records->aead = 0;
	else if (suite == 0x1302 || suite == 0xc02c || suite == 0xc030)
		records->aead = 1;
	records->hash_bytes = records->aead == 1 ? 48 : 32;
	if (!records->is_1_3) {
		SSL_SESSION_get_master_key(
		    SSL_get_session(ssl), master, sizeof(master));
		SSL_get_client_random(ssl, client, sizeof(client));
		SSL_get_server_random(ssl, server, sizeof(server));
		raw_keys_1_2(records, master, client, server);
	}
	raw_side_start(records, &records->in, 0);
	raw_side_start(records, &records->out, 1);
	SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(ssl);
}

static inline void
raw_finish(struct raw_records *records)
{
	EVP_CIPHER_CTX_free(records->in.context);
	EVP_CIPHER_CTX_free(records->out.context);
}

/* What a socket BIO of OpenSSL would read and write one record at a time goes through
 * these buffers: one recv and one send for each flight. */
static uint8_t raw_input[65536], raw_output[1 << 20];
static size_t raw_input_at, raw_input_length, raw_output_length;

static inline int
raw_bio_read(BIO *bio, char *to, int size)
{
	size_t n = raw_input_length - raw_input_at;
	BIO_clear_retry_flags(bio);
	if (n == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	n = n < (size_t)size ? n : (size_t)size;
	memcpy(to, raw_input + raw_input_at, n);
	raw_input_at += n;
	return (int)n;
}

static inline int
raw_bio_write(BIO *bio, const char *from, int length)
{
	(void)bio;
	if (raw_output_length + (size_t)length > sizeof(raw_output))
		abort();
	memcpy(raw_output + raw_output_length, from, (size_t)length);
	raw_output_length += (size_t)length;
	return length;
}

static inline long
raw_bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP;
}

static inline int
raw_bio_create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

/* One BIO for all connections. */
static inline void
raw_set_bio(SSL *ssl)
{
	static BIO *bio;
	if (bio == NULL) {
		BIO_METHOD *method =
		    BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "buffers");
		BIO_meth_set_read(method, raw_bio_read);
		BIO_meth_set_write(method, raw_bio_write);
		BIO_meth_set_ctrl(method, raw_bio_control);
		BIO_meth_set_create(method, raw_bio_create);
		bio = BIO_new(method);
	}
	BIO_up_ref(bio);
	BIO_up_ref(bio);
	SSL_set_bio(ssl, bio, bio);
}

#endif
