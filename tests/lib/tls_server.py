#!/usr/bin/env python3
"""tls_server.py - a TLS server that is independent of the project's code, for the tests of
yodel. Prints its port, then a line for each handshake: version, whether the session was
resumed, common name of the client's certificate, requested server name, or the error.

--mode echo        echoes until the client closes
       truncate    echoes once, then a FIN without close_notify
       bad-record  answers with a record that is not authentic
       greeting    sends a line at once, then echoes
       plain       is no TLS server: answers with HTTP
       silent      accepts and does nothing
       cut         reads the ClientHello and closes
"""
import argparse
import os
import socket
import ssl
import sys
import threading


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("certificate")
    parser.add_argument("key")
    parser.add_argument("--mode", default="echo")
    parser.add_argument("--client-ca")
    parser.add_argument("--version", choices=["1.2", "1.3"])
    parser.add_argument("--alpn", default="")
    parser.add_argument("--port", type=int, default=0)
    return parser.parse_args()


def context_of(given):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(given.certificate, given.key)
    if given.client_ca:
        context.load_verify_locations(given.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if given.version:
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
        context.minimum_version = context.maximum_version = version[given.version]
    if given.alpn:
        context.set_alpn_protocols(given.alpn.split(","))

    def on_name(connection, name, _):
        connection.requested_name = name
    context.sni_callback = on_name
    return context


def describe(connection):
    certificate = connection.getpeercert() or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part
             if key == "commonName"]
    return " ".join([connection.version(), "resumed" if connection.session_reused else "full",
                     names[0] if names else "-",
                     getattr(connection, "requested_name", None) or "-"])


def converse(connection, mode):
    if mode == "greeting":
        connection.sendall(b"welcome\n")
    while data := connection.recv(65536):
        if mode == "bad-record":
            os.write(connection.fileno(), b"\x17\x03\x03\x00\x20" + bytes(32))
            connection.recv(1)
            return
        connection.sendall(data)
        if mode == "truncate":
            connection.detach_socket()
            return
    connection.unwrap()


class Connection(ssl.SSLSocket):
    def detach_socket(self):
        descriptor = self.detach()
        plain = socket.socket(fileno=descriptor)
        plain.shutdown(socket.SHUT_WR)
        plain.recv(65536)
        plain.close()


def serve(plain, context, mode):
    with plain:
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if mode == "silent":
                plain.recv(65536)
                threading.Event().wait(60)
            elif mode == "cut":
                plain.recv(65536)
            elif mode == "plain":
                plain.recv(65536)
                plain.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            else:
                connection = context.wrap_socket(plain, server_side=True)
                print(describe(connection), flush=True)
                converse(connection, mode)
        except OSError as error:
            print(f"error: {error}", flush=True)


def main():
    given = options()
    context = context_of(given)
    context.sslsocket_class = Connection
    listener = socket.create_server(("127.0.0.1", given.port), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    while True:
        plain, _ = listener.accept()
        threading.Thread(target=serve, args=(plain, context, given.mode),
                         daemon=True).start()


sys.exit(main())
