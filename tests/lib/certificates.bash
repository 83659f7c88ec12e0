# shellcheck shell=bash
# certificates.bash - makes keys and certificates with openssl(1), in the folder of the test:
# `load lib/certificates`, after lib/helpers. A private key is NAME.key, a certificate
# NAME.pem, both in PEM. Keys are ECDSA P-256 unless KEY says another kind.
#
#   make_ca NAME                        a certificate authority, self-signed
#   make_intermediate NAME CA           an authority that CA has signed
#   make_certificate NAME CA HOST...    for these names and addresses, signed by CA; a
#                                       chain file if CA is an intermediate one
#   make_self_signed NAME HOST...       signed with its own key
#
#   DAYS=-1 make_certificate ...        has expired
#   KEY=rsa:2048 make_certificate ...   another key: rsa:BITS, ed25519, or a curve (P-384)

make_key() # NAME
{
	local kind=${KEY-P-256}
	case $kind in
	rsa:*) openssl genrsa -out "$1.key" "${kind#rsa:}" ;;
	ed25519) openssl genpkey -algorithm ed25519 -out "$1.key" ;;
	*) openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:$kind" -out "$1.key" ;;
	esac 2>/dev/null
}

# Prints the extension subjectAltName.
alternative_names() # HOST...
{
	local host names=
	for host; do
		case $host in
		*:* | [0-9]*.[0-9]*.[0-9]*.[0-9]*) names+=,IP:$host ;;
		*) names+=,DNS:$host ;;
		esac
	done
	[ -z "$names" ] || echo "subjectAltName=${names#,}"
}

time_in_days() # DAYS
{
	date -u -d "$1 days" +%Y%m%d%H%M%SZ
}

# Signs NAME.key with the key of CA, or with its own.
sign() # NAME CA SUBJECT EXTENSIONS
{
	local signer=(-CA "$2.pem" -CAkey "$2.key") days=${DAYS-30}
	local validity=(-days "$days")
	# From OpenSSL 3.4 on, -days refuses negative numbers, but there are other options.
	if [ "$days" -lt 0 ] && openssl x509 -help 2>&1 | grep -q -- -not_after; then
		validity=(-not_before "$(time_in_days $((days - 30)))" -not_after "$(time_in_days "$days")")
	fi
	[ "$1" != "$2" ] || signer=(-signkey "$1.key")
	printf '%s\n' "$4" >"$1.ext"
	openssl req -new -key "$1.key" -subj "$3" -out "$1.csr"
	openssl x509 -req -in "$1.csr" "${signer[@]}" "${validity[@]}" -extfile "$1.ext" \
		-out "$1.pem" 2>/dev/null
	rm -f "$1.csr" "$1.ext"
	openssl x509 -in "$1.pem" -noout
}

readonly CA_EXTENSIONS='basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash'

make_ca() # NAME
{
	make_key "$1"
	sign "$1" "$1" "/O=yodel tests/CN=$1" "$CA_EXTENSIONS"
}

make_intermediate() # NAME CA
{
	make_key "$1"
	sign "$1" "$2" "/O=yodel tests/CN=$1" "$CA_EXTENSIONS"
	touch "$1.is_intermediate"
}

make_certificate() # NAME CA HOST...
{
	local name=$1 ca=$2
	shift 2
	make_key "$name"
	sign "$name" "$ca" "/CN=${1-$name}" "$(alternative_names "$@")"
	[ ! -f "$ca.is_intermediate" ] || cat "$ca.pem" >>"$name.pem"
}

make_self_signed() # NAME HOST...
{
	local name=$1
	shift
	make_key "$name"
	sign "$name" "$name" "/CN=${1-$name}" "$(alternative_names "$@")"
}
