"""tls.py - what TLS costs yodeld and yodel: CPU time beside reference programs that do no
more than TLS needs (raw_tls, raw_tls_client) and beside other servers that terminate TLS;
memory of idle connections."""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import tempfile

import bench
from peers import free_port

SUITE = "TLS_AES_256_GCM_SHA384"
IDLE = 15000
STALLED = 1000
# what, version, connections, bytes, options of the load, at most
CASES = [
    ("1 connection", "1.3", 1, 64, [], 1.08),
    ("50 connections", "1.3", 50, 64, [], 1.08),
    ("1,000 connections", "1.3", 1000, 64, [], 1.08),
    ("pipeline of 16, 50 connections", "1.3", 50, 64, ["-n", 16], 1.08),
    ("16 KiB, 50 connections", "1.3", 50, 16384, [], 1.08),
    ("TLS 1.2, 50 connections", "1.2", 50, 64, [], 1.08),
    ("connect, full handshake, one message, close", "1.3", 8, 64, ["-o"], 1.05),
]


def make_certificate(folder):
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
               "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{folder}/key", "-out",
               f"{folder}/pem", "-subj", "/CN=localhost", "-addext",
               "subjectAltName=DNS:localhost,IP:127.0.0.1", "-days", "90"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    pathlib.Path(folder, "both").write_text(
        pathlib.Path(folder, "pem").read_text() + pathlib.Path(folder, "key").read_text())
    os.chmod(f"{folder}/key", 0o644)  # the workers of some servers run as another user
    os.chmod(folder, 0o755)


def start_raw_tls(folder, version="1.3", core=bench.CORE):
    command = [bench.BUILD / "bench/raw_tls", f"{folder}/pem", f"{folder}/key", version]
    return bench.Server("raw_tls", command, r"^(\d+)$", core=core)


def start_yodeld_tls(folder, core=bench.CORE):
    conf = pathlib.Path(folder, "yodeld.json")
    conf.write_text(json.dumps({"listeners": [
        {"address": "127.0.0.1:0", "reply": "echo",
         "tls": {"certificate": f"{folder}/pem", "key": f"{folder}/key"}}]}))
    command = [bench.BUILD / "yodeld", "-w", 1, "-c", conf, "--set", "admin.socket="]
    return bench.Server("yodeld", command, r"listening on [^ ]*:(\d+) ", ready=r": ready: ",
                        core=core)


def load(server, connections, size, version="1.3", options=()):
    return bench.Load(server, connections, size, options=["-v", version, *options],
                      program="raw_tls_client")


def row(what, bar, slices, name, base, **more):
    ratio = bench.ratio_of(slices, name, base)
    return {"what": what, "bar": bar, "value": ratio["ratio"], **ratio,
            "us": bench.median(slices[name], "us"),
            "base_us": bench.median(slices[base], "us"), **more}


def server_costs(folder, rounds, seconds):
    for what, version, connections, size, options, bar in CASES:
        def start():
            servers = {"raw": start_raw_tls(folder, version),
                       "yodeld": start_yodeld_tls(folder)}
            return bench.running(servers, lambda name: load(
                servers[name], connections, size, version, options))
        yield row(f"CPU per message over TLS: yodeld / raw_tls, {what}", bar,
                  bench.over_instances(start, rounds, seconds), "yodeld", "raw")


def haproxy(folder, port, behind):
    conf = pathlib.Path(folder, "haproxy.cfg")
    conf.write_text(f"""global
  nbthread 1
defaults
  mode tcp
  timeout client 1h
  timeout server 1h
  timeout connect 5s
listen tls
  bind 127.0.0.1:{port} ssl crt {folder}/both
  server s 127.0.0.1:{behind}
""")
    return bench.Server("haproxy", ["haproxy", "-db", "-f", conf], port)


def nginx(folder, port, behind):
    places = [pathlib.Path(p) for p in (
        bench.TESTS.parent / "build/tools/usr/lib/nginx/modules", "/usr/lib/nginx/modules",
        "/usr/lib64/nginx/modules")]
    module = next(p / "ngx_stream_module.so" for p in places
                  if (p / "ngx_stream_module.so").exists())
    conf = pathlib.Path(folder, "nginx.conf")
    conf.write_text(f"""load_module {module}; daemon off; worker_processes 1; user root;
pid {folder}/pid; error_log stderr; events {{ worker_connections 1024; }}
stream {{ ssl_certificate {folder}/pem; ssl_certificate_key {folder}/key;
  ssl_protocols TLSv1.3; proxy_timeout 1h;
  server {{ listen 127.0.0.1:{port} ssl; proxy_pass 127.0.0.1:{behind}; }} }}
""")
    return bench.Server("nginx", ["nginx", "-p", folder, "-e", "stderr", "-c", conf], port)


def stunnel(folder, port, behind):
    conf = pathlib.Path(folder, "stunnel.conf")
    conf.write_text(f"""foreground = yes
pid =
cert = {folder}/pem
key = {folder}/key
[tls]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{behind}
""")
    return bench.Server("stunnel", [shutil.which("stunnel4") or "stunnel", conf], port)


# function, programs, at most
PEERS = [(nginx, ["nginx"], 0.45), (haproxy, ["haproxy"], 0.45),
         (stunnel, ["stunnel4", "stunnel"], 0.25)]


def peer_costs(folder, rounds, seconds):
    """Others forward to raw_epoll, whose CPU time is not counted."""
    yodeld, plain = start_yodeld_tls(folder), bench.start_raw()
    try:
        for start, programs, bar in PEERS:
            if not any(map(shutil.which, programs)):
                continue
            other = start(folder, free_port(), plain.port)
            loads = {"yodeld": load(yodeld, 50, 64), "peer": load(other, 50, 64)}
            slices = bench.alternate(loads, rounds, seconds)
            for one in loads.values():
                one.stop()
            other.stop()
            yield row(f"CPU per message over TLS: yodeld / {start.__name__}, 64 bytes", bar,
                      slices, "yodeld", "peer")
    finally:
        yodeld.stop()
        plain.stop()


# what, connections, bytes, messages in flight
CLIENT_CASES = [
    ("1 connection", 1, 64, 1),
    ("50 connections", 50, 64, 1),
    ("1,000 connections", 1000, 64, 1),
    ("pipeline of 16, 50 connections", 50, 64, 16),
    ("16 KiB, 50 connections", 50, 16384, 1),
]


def yodel(folder, port, connections, *options):
    """A command that verifies the certificate, pinned like its server."""
    return ["taskset", "-c", str(bench.CORE), str(bench.BUILD / "yodel"), "-q", "-w", "1",
            "-c", str(connections), "--tls", "--tls-ca", f"{folder}/pem",
            *map(str, options), f"localhost:{port}"]


def yodel_cost(folder, port, connections, seconds, *options):
    """CPU of a run in ns for each verified message, from the end of the handshakes on."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        subprocess.run(yodel(folder, port, connections, "-d", f"{int(seconds * 1000)}ms",
                             "--json", file.name, *options), check=True)
        result = json.loads(pathlib.Path(file.name).read_text())
    cpu = result["host"]["cpu_user_s"] + result["host"]["cpu_sys_s"]
    return cpu * 1e9 / result["messages"]["verified"]


def pairs_row(what, bar, pairs):
    """pairs: (yodel's cost, that of the other) of runs that followed each other."""
    ratios = sorted(a / b for a, b in pairs)
    return {"what": what, "bar": bar, "value": statistics.median(ratios),
            "low": ratios[len(ratios) // 4], "high": ratios[-1 - len(ratios) // 4],
            "yodel_ns": statistics.median(a for a, _ in pairs),
            "other_ns": statistics.median(b for _, b in pairs)}


def client_costs(folder, rounds, seconds):
    """The raw client sends the same messages, as many at once, and verifies nothing."""
    server = start_raw_tls(folder)
    try:
        for what, connections, size, depth in CLIENT_CASES:
            reference = load(server, connections, size, options=["-n", depth])
            pairs = []
            for _ in range(rounds):
                raw = reference.run(seconds)["client_us"] * 1e3
                pairs.append((yodel_cost(folder, server.port, connections, seconds, "--size",
                                         size, "-p", depth, "--expect", "echo"), raw))
            reference.stop()
            yield pairs_row("CPU per message over TLS: yodel, which verifies / raw client, "
                            + what, 1.15, pairs)
    finally:
        server.stop()


def nginx_http(folder, port):
    conf = pathlib.Path(folder, "nginx_http.conf")
    conf.write_text(f"""daemon off; worker_processes 1; user root; pid {folder}/pid;
error_log stderr; events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/pem;
    ssl_certificate_key {folder}/key; ssl_protocols TLSv1.3;
    location / {{ return 200 $uri; }} }} }}
""")
    return bench.Server("nginx", ["nginx", "-p", folder, "-e", "stderr", "-c", conf], port)


HTTP_TALK = bench.TESTS.parent / "client/conversations/http.talk"  # asks for paths


def peer_cost(command, pattern):
    """CPU in ns for each request of another client, with its 50 handshakes."""
    client = subprocess.Popen(["taskset", "-c", str(bench.CORE), *map(str, command)],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = client.stdout.read()
    _, status, usage = os.wait4(client.pid, 0)
    client.returncode = os.waitstatus_to_exitcode(status)
    found = re.search(pattern, text)
    assert client.returncode == 0 and found, text
    return (usage.ru_utime + usage.ru_stime) * 1e9 / int(found[1])


def http_costs(folder, rounds, seconds):
    """Clients that ask nginx for a short text; one that is not installed is left out."""
    whole = max(1, round(seconds))
    port = free_port()
    url = f"https://localhost:{port}/0/12345"
    others = {
        "wrk": (["wrk", "-t", 1, "-c", 50, "-d", f"{whole}s", url], r"(\d+) requests in"),
        "h2load": (["h2load", "--h1", "-t", 1, "-c", 50, "-D", whole, url],
                   r"(\d+) done"),
    }
    others = {name: row for name, row in others.items() if shutil.which(name)}
    if not others or shutil.which("nginx") is None:
        return
    server = nginx_http(folder, port)
    try:
        for name, (command, pattern) in others.items():
            pairs = [(yodel_cost(folder, port, 50, seconds, "--conversation",
                                 HTTP_TALK),
                      peer_cost(command, pattern)) for _ in range(rounds)]
            yield pairs_row(f"CPU per request over https: yodel, which verifies / {name}, "
                            "50 connections", 0.70, pairs)
    finally:
        server.stop()


def client_memory_of(folder, port, connections):
    """Memory of the load process with that many connections, nearly all of them idle."""
    client = subprocess.Popen(yodel(folder, port, connections, "--size", 64, "--interval", "10m",
                                    "-d", "10m", "--expect", "echo"))
    try:
        def is_connected():
            processes = bench.family(client.pid)
            return len(os.listdir(f"/proc/{processes[-1]}/fd")) >= connections
        bench.wait_for("idle connections of yodel", is_connected, 300)
        bench.time.sleep(6)  # cipher contexts and the free heap go after a while
        return max(bench.dirty_memory(pid) for pid in bench.family(client.pid))
    finally:
        client.terminate()
        client.wait()


def client_memory(folder):
    server = start_raw_tls(folder, core=None)
    try:
        # The least has as many handshakes at the same time, after which some heap stays.
        few, many = (client_memory_of(folder, server.port, n) for n in (IDLE // 5, IDLE))
    finally:
        server.stop()
    yield {"what": f"user memory of yodel per TLS connection, {IDLE:,} idle connections, "
                   "bytes", "bar": 600, "value": (many - few) / (IDLE - IDLE // 5)}


def memory(folder):
    server = start_yodeld_tls(folder, core=None)
    try:
        load(server, 50, 64).stop()  # warms up
        bench.time.sleep(4)
        before = bench.dirty_memory(server.worker())
        idle = bench.Load(server, IDLE, 64, options=["-v", "1.3"], probe=False,
                          program="raw_tls_client")
        bench.time.sleep(4)  # cipher contexts and the free heap go after a while
        value = (bench.dirty_memory(server.worker()) - before) / IDLE
        idle.stop()
    finally:
        server.stop()
    yield {"what": f"user memory per TLS connection, {IDLE:,} idle connections, bytes",
           "bar": 600, "value": value}


def client_hello():
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


def stalled_handshakes(folder):
    """Each client sends its ClientHello, and nothing behind it."""
    server = start_yodeld_tls(folder, core=None)
    clients = []
    try:
        load(server, 50, 64).stop()  # warms up
        hello = client_hello()
        before = bench.dirty_memory(server.worker())
        for _ in range(STALLED):
            clients.append(socket.create_connection(("127.0.0.1", server.port)))
            clients[-1].sendall(hello)
        for client in clients:
            if client.recv(1) != b"\x16":
                raise RuntimeError("the server did not answer ClientHello")
        value = (bench.dirty_memory(server.worker()) - before) / STALLED
    finally:
        for client in clients:
            client.close()
        server.stop()
    yield {"what": f"user memory per stalled TLS handshake, {STALLED:,} of them, bytes",
           "bar": 45000, "value": value}


def measure(rounds, seconds):
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        make_certificate(folder)
        yield from server_costs(folder, rounds, seconds)
        yield from peer_costs(folder, rounds, seconds)
        yield from client_costs(folder, max(3, rounds // 3), max(1, seconds * 3))
        yield from http_costs(folder, max(3, rounds // 3), max(1, seconds * 3))
        yield from memory(folder)
        yield from stalled_handshakes(folder)
        yield from client_memory(folder)
