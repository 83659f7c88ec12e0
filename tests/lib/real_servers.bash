# shellcheck shell=bash
# real_servers.bash - starts servers of other protocols: `load lib/real_servers`, after
# lib/helpers.
#
#   start_real_server NAME    dns, http, memcached, mqtt, pop3, postgresql, redis or smtp;
#                             sets REAL_PORT; teardown ends it by its pid
#
# Each server runs in a folder of its own with a configuration written here, on a free port
# of 127.0.0.1, with those limits raised that a load test reaches; yodel-conversation(5)
# names them. tests/install-deps unpacks the servers into build/tools.

TOOLS=$BATS_TEST_DIRNAME/../build/tools
for folder in "$TOOLS"/usr/{bin,sbin,lib/postgresql/*/bin} /usr/sbin /usr/lib/postgresql/*/bin; do
	[ ! -d "$folder" ] || PATH=$PATH:$folder
done
export PATH

real_server_needs() # NAME
{
	case $1 in
	dns) needs command nsd ;;
	http) needs command nginx ;;
	memcached) needs command memcached ;;
	mqtt) needs command mosquitto ;;
	pop3)
		needs root
		needs command pop3d
		;;
	postgresql) needs command initdb ;;
	redis) needs command redis-server ;;
	smtp)
		needs root
		needs command postfix
		;;
	esac
}

start_real_server() # NAME
{
	real_server_needs "$1"
	REAL_PORT=$(free_port)
	local home=$BATS_TEST_TMPDIR/$1
	mkdir "$home"
	# Some of these servers change to another user.
	chmod a+x "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR"/* "$BATS_TEST_TMPDIR" "$home"
	"start_$1" "$home" "$REAL_PORT"
	wait_until accepts_or_has_ended "$REAL_PORT"
	! has_ended "$SPAWNED"
}

accepts_or_has_ended() # PORT
{
	has_ended "$SPAWNED" || (: <"/dev/tcp/127.0.0.1/$1")
}

# What nginx answers tells the connections apart: the path of the request.
start_http() # HOME PORT
{
	cat >"$1/nginx.conf" <<-END
		daemon off;
		worker_processes 1;
		pid $1/pid;
		error_log stderr;
		events { worker_connections 8192; }
		http {
		    access_log off;
		    client_body_temp_path $1/body;
		    proxy_temp_path $1/proxy;
		    fastcgi_temp_path $1/fastcgi;
		    uwsgi_temp_path $1/uwsgi;
		    scgi_temp_path $1/scgi;
		    keepalive_requests 1000000000;
		    keepalive_timeout 1h;
		    server {
		        listen 127.0.0.1:$2 backlog=4096;
		        default_type text/plain;
		        location / { return 200 \$uri; }
		    }
		}
	END
	# "user" is an error message without root.
	[ "$(id -u)" != 0 ] || sed -i '1i user root;' "$1/nginx.conf"
	spawn nginx nginx -p "$1" -e stderr -c "$1/nginx.conf"
}

start_memcached() # HOME PORT
{
	spawn memcached memcached -u "$(id -un)" -l 127.0.0.1 -p "$2" -U 0 -t 1 -c 8192 -b 4096
}

start_mqtt() # HOME PORT
{
	cat >"$1/mosquitto.conf" <<-END
		user $(id -un)
		listener $2 127.0.0.1
		allow_anonymous true
		persistence false
		log_dest stderr
		log_type error
		log_type warning
	END
	spawn mosquitto mosquitto -c "$1/mosquitto.conf"
}

start_redis() # HOME PORT
{
	spawn redis redis-server --dir "$1" --bind 127.0.0.1 --port "$2" --save '' \
		--maxclients 8192 --tcp-backlog 4096
}

# A zone with a wildcard: each name has the address 192.0.2.1.
start_dns() # HOME PORT
{
	cat >"$1/zone" <<-END
		@ 3600 IN SOA ns admin 1 3600 3600 3600 3600
		@ 3600 IN NS ns
		* 3600 IN A 192.0.2.1
	END
	cat >"$1/nsd.conf" <<-END
		server:
		    ip-address: 127.0.0.1@$2
		    username: ""
		    pidfile: "$1/pid"
		    zonesdir: "$1"
		    database: ""
		    zonelistfile: "$1/zone.list"
		    xfrdfile: "$1/xfrd.state"
		    xfrdir: "$1"
		    server-count: 1
		    tcp-count: 2000
		    tcp-query-count: 0
		    tcp-timeout: 3600
		    minimal-responses: yes
		remote-control:
		    control-enable: no
		zone:
		    name: "example"
		    zonefile: "zone"
	END
	spawn nsd nsd -d -c "$1/nsd.conf"
	# It listens before that, but does not answer.
	wait_until grep -q "nsd started" nsd.log
}

# Refuses root: runs as nobody, who may enter any folder on the way to the program.
start_postgresql() # HOME PORT
{
	local as=()
	if [ "$(id -u)" = 0 ]; then
		chown nobody "$1"
		# no_setuid_fixup: for access(2), too
		as=(setpriv --securebits=+no_setuid_fixup --reuid=nobody
			--regid="$(id -g nobody)" --clear-groups "--inh-caps=-all,+dac_override"
			"--ambient-caps=-all,+dac_override")
	fi
	"${as[@]}" initdb -D "$1/data" -A trust -U yodel -N --no-instructions --locale=C \
		-E UTF8 >initdb.log 2>&1
	spawn postgresql "${as[@]}" "$(command -v postgres)" -D "$1/data" -p "$2" -h 127.0.0.1 \
		-k "$1" -c max_connections=1000 -c fsync=off -c jit=off
	# Before this line it refuses connections, in its protocol.
	wait_until grep -q 'ready to accept connections' postgresql.log
}

# Each session keeps its mailbox to itself: connection N reads that of user-N, of which there
# are 100 with one message of 41 bytes each. Password: secret.
start_pop3() # HOME PORT
{
	local user
	mkdir "$1/passwords" "$1/mail"
	for user in user-{0..99}; do
		mkdir "$1/mail/$user"
		printf '%s\n' 'From alice@example Thu Jan  1 00:00:00 2026' 'From: alice' \
			'Subject: hi' '' 'line' '.dot' '' >"$1/mail/$user/INBOX"
		# shellcheck disable=SC2016 # crypt(3) of "secret"
		printf '%s:%s:65534:65534::%s:/bin/false\n' "$user" \
			'$5$yodel$hPXvRruJ9/LYC5nP14/VXgZXJuyqvn0LQ9oyZdV47eC' "$1/mail/$user"
	done >"$1/passwords/example"
	chown -R 65534 "$1/mail"
	cat >"$1/pop3d.conf" <<-END
		mode daemon;
		foreground yes;
		max-children 1000;
		logging { syslog no; };
		auth {
		    authentication clear;
		    authentication generic;
		    authorization clear;
		    authorization virtdomain;
		};
		virtdomain { passwd-dir "$1/passwords"; };
		server 127.0.0.1:$2 { single-process no; backlog 4096; };
	END
	spawn pop3d pop3d --no-site-config --config-file "$1/pop3d.conf"
}

start_smtp() # HOME PORT
{
	local programs libraries=$TOOLS/usr/lib/postfix folder
	for programs in "$libraries/sbin" /usr/lib/postfix/sbin /usr/libexec/postfix; do
		[ ! -x "$programs/master" ] || break
	done
	mkdir "$1/queue" "$1/data"
	for folder in active bounce corrupt defer deferred flush hold incoming maildrop pid \
		private public saved trace; do
		mkdir "$1/queue/$folder"
	done
	chown daemon "$1/data" "$1"/queue/*
	chown root "$1/queue/pid"
	cat >"$1/main.cf" <<-END
		compatibility_level = 3.6
		queue_directory = $1/queue
		data_directory = $1/data
		daemon_directory = $programs
		mail_owner = daemon
		setgid_group = mail
		default_privs = nobody
		import_environment = LD_LIBRARY_PATH=$libraries MAIL_CONFIG LANG=C
		myhostname = mail.example
		mydestination = mail.example
		inet_protocols = ipv4
		alias_maps =
		alias_database =
		local_recipient_maps =
		maillog_file = $1/log
		maillog_file_prefixes = /
		smtpd_junk_command_limit = 1000000000
		smtpd_client_connection_count_limit = 0
	END
	cat >"$1/master.cf" <<-END
		127.0.0.1:$2 inet n - n - 1000 smtpd
		postlog unix-dgram n - n - 1 postlogd
		rewrite unix - - n - - trivial-rewrite
		anvil unix - - n - 1 anvil
	END
	spawn postfix env LD_LIBRARY_PATH="$libraries" MAIL_CONFIG="$1" \
		"$programs/master" -c "$1" -d
}
