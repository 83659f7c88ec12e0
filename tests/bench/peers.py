"""peers.py - CPU time of yodeld for a round trip, compared with other servers of Debian that
are installed: about 64 bytes each way, 50 connections, one thread, one core."""
import contextlib
import pathlib
import shutil
import socket
import struct
import tempfile

import bench

TEXT = b"x" * 64


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port, request):
    """The answer: all bytes until the peer is silent for a while."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port)) as peer:
        peer.settimeout(10)
        peer.sendall(request)
        with contextlib.suppress(TimeoutError):
            while part := peer.recv(65536):
                answer += part
                peer.settimeout(0.3)
    return answer


def memcached(folder, port):
    key = b"k" * 58
    command = ["memcached", "-l", "127.0.0.1", "-p", port, "-U", "0", "-t", "1", "-u", "root"]
    server = bench.Server("memcached", command, port)
    ask(port, b"set %s 0 0 64\r\n%s\r\n" % (key, TEXT))
    return server, b"get %s\r\n" % key


def redis(folder, port):
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
               "--appendonly", "no", "--protected-mode", "no", "--dir", folder]
    server = bench.Server("redis", command, port)
    return server, b"*2\r\n$4\r\nECHO\r\n$64\r\n%s\r\n" % TEXT


def nginx(folder, port):
    conf = pathlib.Path(folder, "nginx.conf")
    conf.write_text(f"""daemon off; worker_processes 1; pid {folder}/pid; user root;
error_log stderr; events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{TEXT.decode()}"; }} }} }}
""")
    server = bench.Server("nginx", ["nginx", "-p", folder, "-c", conf], port)
    return server, b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"


def haproxy(folder, port):
    conf = pathlib.Path(folder, "haproxy.cfg")
    conf.write_text(f"""global
  nbthread 1
defaults
  mode http
  timeout client 1h
  timeout server 1h
  timeout connect 1s
  timeout http-keep-alive 1h
frontend server
  bind 127.0.0.1:{port}
  http-request return status 200 content-type text/plain string "{TEXT.decode()}"
""")
    server = bench.Server("haproxy", ["haproxy", "-db", "-f", conf], port)
    return server, b"GET / HTTP/1.1\r\nHost: server\r\n\r\n"


def sockperf(folder, port):
    feed = pathlib.Path(folder, "feed")  # by -p alone it serves one connection
    feed.write_text(f"T:127.0.0.1:{port}\n")
    server = bench.Server("sockperf", ["sockperf", "server", "-f", feed, "-F", "epoll"], port)
    # sockperf's header: sequence number, flags (client, reply requested), length.
    header = struct.pack(">QHI", 1, 3, 64)
    return server, header + TEXT[: 64 - len(header)]


def socat(folder, port):
    command = ["socat", f"TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,nodelay", "PIPE"]
    return bench.Server("socat", command, port), TEXT


# start function, program, upper bound of the ratio (yodeld's CPU / the program's CPU)
PEERS = [(memcached, "memcached", 0.85), (redis, "redis-server", 1), (nginx, "nginx", 1),
         (haproxy, "haproxy", 1), (sockperf, "sockperf", 1), (socat, "socat", 1)]


def compare(start, bar, load, folder, rounds, seconds):
    server, request = start(folder, free_port())
    try:
        path = pathlib.Path(folder, "request")
        path.write_bytes(request)
        answer = len(ask(server.port, request))
        other = bench.Load(server, 50, options=["-q", path, "-a", answer])
        slices = bench.alternate({"yodeld": load, "peer": other}, rounds, seconds)
        other.stop()
    finally:
        server.stop()
    ratio = bench.ratio_of(slices, "yodeld", "peer")
    return {
        "what": f"CPU per round trip: yodeld / {start.__name__}",
        "bar": bar,
        "value": ratio["ratio"],
        **ratio,
        "yodeld_us": bench.median(slices["yodeld"], "us"),
        "peer_us": bench.median(slices["peer"], "us"),
    }


def measure(rounds, seconds):
    server = bench.start_yodeld()
    load = bench.Load(server)
    try:
        for start, program, bar in PEERS:
            if shutil.which(program):
                with tempfile.TemporaryDirectory() as folder:
                    yield compare(start, bar, load, folder, rounds, seconds)
    finally:
        load.stop()
        server.stop()
