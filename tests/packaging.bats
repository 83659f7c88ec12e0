#!/usr/bin/env bats
# run-checks: without sanitizer
# The files that are installed beside the programs, checked with the tools that read them.
# packaging/acceptance tests the packages.

load lib/helpers
TOP=$BATS_TEST_DIRNAME/..
PACKAGING=$TOP/packaging

long_options() # PROGRAM
{
	"$BUILD/$1" --help | grep -oE '^ +(-.,)? *--[a-z0-9-]+' | grep -oE -- '--[a-z0-9-]+'
}

@test "systemd-analyze rates the unit's exposure at 1.2 or less" {
	needs command systemd-analyze
	systemd-analyze security --offline=true --threshold=12 "$PACKAGING/systemd/yodeld.service"
}

@test "each drop-in changes only settings that the unit has" {
	needs command systemd-analyze
	mkdir -p units/yodeld.service.d
	cp "$PACKAGING"/systemd/yodeld.{service,socket} units
	cp "$PACKAGING"/systemd/*.conf units/yodeld.service.d
	# The programs are not installed here.
	sed -i "s|/usr/[a-z]*/yodel|$BUILD/yodel|" units/yodeld.service
	run systemd-analyze verify --man=no "$PWD"/units/yodeld.{service,socket}
	[ "$status" = 0 ]
	run ! grep yodeld <<<"$output"
}

@test "make install installs the programs, the unit that starts them and all other files" {
	make -s -C "$TOP" install B="${BUILD#"$(cd "$TOP" && pwd)"/}" DESTDIR="$PWD/root" \
		PREFIX=/usr >install.log 2>&1 || { cat install.log; false; }
	[ -x root/usr/sbin/yodeld ] && [ -x root/usr/bin/yodelctl ] && [ -x root/usr/bin/yodel ]
	grep -q '^ExecStart=/usr/sbin/yodeld ' root/usr/lib/systemd/system/yodeld.service
	[ -e root/usr/share/man/man8/yodeld.8 ] && [ -e root/usr/share/man/man1/yodel.1 ]
	[ -e root/usr/share/man/man5/yodeld.json.5 ] && [ -e root/usr/share/man/man1/yodelctl.1 ]
	cmp root/etc/yodel/yodeld.json "$TOP/conf/yodeld.json"
	[ "$(readlink root/etc/yodel/yodeld.schema.json)" = /usr/share/yodel/yodeld.schema.json ]
	[ -e root/usr/share/doc/yodel/examples/echo.json ] && [ -e root/usr/share/doc/yodel/SECURITY.md ]
	[ -e root/usr/share/doc/yodel/examples/yodel.sbatch ]
	[ -e root/usr/share/yodel/conversations/redis.talk ]

	echo '{}' >root/etc/yodel/yodeld.json
	chmod 2750 root/etc/yodel root/usr/share/man/man1
	make -s -C "$TOP" install B="${BUILD#"$(cd "$TOP" && pwd)"/}" DESTDIR="$PWD/root" \
		PREFIX=/usr >install.log 2>&1
	[ "$(cat root/etc/yodel/yodeld.json)" = '{}' ]
	[ "$(stat -c %a root/etc/yodel root/usr/share/man/man1 | uniq)" = 2750 ]
}

@test "an installation below another prefix uses its own paths and is readable for all users" {
	(umask 077 && make -s -C "$TOP" install B="${BUILD#"$(cd "$TOP" && pwd)"/}" \
		DESTDIR="$PWD/root" PREFIX=/opt/yodel >install.log 2>&1) || { cat install.log; false; }
	grep -qx 'profile yodeld /opt/yodel/sbin/yodeld .*' \
		root/opt/yodel/share/doc/yodel/examples/usr.sbin.yodeld
	# The Containerfile has the paths inside the container.
	[ "$(grep -rlE --exclude=Containerfile '/usr/(s?bin|share)/yodel' root)" = '' ]
	[ "$(find root -type f ! -perm -444)$(find root/* -type d ! -perm -555)" = '' ]
}

@test "flags on make's command line are added to those of the build" {
	make -n -B -C "$TOP" CC=gcc SANITIZE= V=1 CPPFLAGS=-DMINE LDFLAGS=-Wl,-O1 build/yodel \
		build/tests/json_load_test >commands
	grep -E ' -c -o build/obj/lib/buffer.o ' commands | grep -E ' -I\. ' | grep -qF -- ' -DMINE '
	grep -E ' -o build/yodel ' commands | grep -F -- ' -pie ' | grep -qF -- ' -Wl,-O1 '
	grep -E ' -o build/tests/json_load_test ' commands | grep -qF -- ' -Wl,--wrap=malloc'
}

@test "the man page of yodel has every option and passes mandoc's checks" {
	needs command mandoc
	# A page that is named need not be installed here.
	mandoc -T lint -W warning "$TOP/client/yodel.1"
	mandoc -T ascii "$TOP/client/yodel.1" | col -b >page
	for option in $(long_options yodel); do
		grep -qE -- "$option( |,|$)" page || { echo "$option is not in the page"; false; }
	done
}

complete_in_bash() # PROGRAM WORD...: prints the completions of the last word
{
	bash -c '
		source "$1"
		name=$2
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
		compopt() { :; }
		"_$name"
		printf "%s\n" "${COMPREPLY[@]}"' bash "$1.bash" "$@"
}

@test "bash completes every option, the values of some, and commands" {
	for program in yodel yodeld yodelctl; do
		"$PACKAGING/completions/generate" bash "$BUILD/$program" >$program.bash
		complete_in_bash $program --help >/dev/null
		complete_in_bash $program -- | sort >offered
		diff offered <(long_options $program | sort)
	done
	[ "$(complete_in_bash yodel --framing = l | paste -s -d ' ')" = "line length32" ]
	[ "$(complete_in_bash yodel merge --str)" = --strict ]
	[ "$(complete_in_bash yodel merge --dur)" = '' ]
	[ "$(complete_in_bash yodel c | paste -s -d ' ')" = "check compare calibrate" ]
	[ "$(complete_in_bash yodelctl rel)" = reload ]
	[ "$(complete_in_bash yodelctl -s /x rel)" = reload ]
	[ "$(complete_in_bash yodelctl -j rel)" = reload ]
	[ "$(complete_in_bash yodelctl -t rel)" = '' ]
	[ "$(complete_in_bash yodelctl stop rel)" = '' ]
	[ "$(complete_in_bash yodelctl log w)" = warn ]
	[ "$(complete_in_bash yodelctl faults s)" = set ]
}

@test "zsh and fish accept their completions" {
	needs command zsh
	needs command fish
	for program in yodel yodeld yodelctl; do
		for shell in zsh fish; do
			"$PACKAGING/completions/generate" $shell "$BUILD/$program" >$program.$shell
			$shell -n $program.$shell
			for option in $(long_options $program); do
				grep -qE -- "(--|-l )${option#--}\b" $program.$shell
			done
		done
	done
	fish -c "source yodelctl.fish; complete -C 'yodelctl re'" | grep '^reload'
	fish -c "source yodel.fish; complete -C 'yodel --framing l'" | grep length32
}

@test "the AppArmor profile compiles" {
	needs command apparmor_parser
	local base=/etc/apparmor.d unpacked=$TOP/build/tools/etc/apparmor.d
	[ -d $base/abstractions ] || base=$unpacked
	apparmor_parser --base "$base" --skip-kernel-load --skip-cache "$PACKAGING/apparmor/usr.sbin.yodeld"
}

@test "the AppArmor profile allows exactly the capabilities that the master keeps" {
	local kept allowed
	kept=$(sed -n '/^limit_privileges/,/^}/p' "$TOP/master/master.c" | grep -oE 'CAP_[A-Z_]+' | sort)
	allowed=$(sed -n 's/^  capability \(.*\),$/CAP_\U\1/p' "$PACKAGING/apparmor/usr.sbin.yodeld" | sort)
	[ -n "$kept" ] && [ "$kept" = "$allowed" ]
}

@test "firewall, container and cluster files are well formed and agree on the port" {
	python3 - "$PACKAGING" <<-'PYTHON'
		import configparser, sys, xml.dom.minidom, yaml
		top = sys.argv[1]
		port = xml.dom.minidom.parse(top + "/firewall/firewalld/yodeld.xml").getElementsByTagName("port")[0]
		assert (port.getAttribute("port"), port.getAttribute("protocol")) == ("10000", "tcp")
		ufw = configparser.ConfigParser()
		ufw.read(top + "/firewall/ufw/yodel-server")
		assert ufw["yodeld"]["ports"] == "10000/tcp" and ufw["yodeld"]["title"]
		pods = {}
		for name in "yodeld", "yodel":
		    for item in yaml.safe_load_all(open(f"{top}/kubernetes/{name}.yaml")):
		        pods[item["kind"]] = item["spec"]
		server = pods["Deployment"]["template"]["spec"]
		job = pods["Job"]["template"]["spec"]
		for spec in server, job:
		    assert spec["securityContext"]["runAsNonRoot"]
		ports = {p["name"]: p["containerPort"] for p in server["containers"][0]["ports"]}
		assert ports["message"] == pods["Service"]["ports"][0]["port"] == 10000
		env = {e["name"]: e["value"] for e in job["containers"][0]["env"]}
		assert int(env["YODEL_RANKS"]) == pods["Job"]["completions"] == pods["Job"]["parallelism"]
		container = open(top + "/container/Containerfile").read()
		assert "USER 10000" in container and "HEALTHCHECK" in container
	PYTHON
}

@test "every key of the manifests exists in the Kubernetes API" {
	local check=$BATS_TEST_DIRNAME/lib/check_manifests.py
	needs python kubernetes
	/usr/bin/python3 "$check" "$PACKAGING"/kubernetes/*.yaml
	sed 's/replicas:/replcas:/' "$PACKAGING/kubernetes/yodeld.yaml" >key.yaml
	sed 's/completions: 4/completions: "4"/' "$PACKAGING/kubernetes/yodel.yaml" >type.yaml
	for file in key.yaml type.yaml; do
		run -1 /usr/bin/python3 "$check" $file
		[[ $output == "$file: not a valid "* ]]
	done
}

@test "the programs accept the command lines of the container and the pods" {
	"$YODELD" --check --listen '*:10000=upper' --set 'admin.address=*:9601'
	run "$YODEL" -q --json - -c 40 -R 200 -d 100ms --warmup 50ms --connect-timeout 1s 127.0.0.1:1
	[ "$status" = 1 ]
}

@test "every setting of the sysctl example exists in Linux" {
	needs kernel initial-netns
	sysctl --dry-run -p "$PACKAGING"/sysctl.d/*.conf >taken
	[ "$(wc -l <taken)" = "$(grep -c '^[a-z]' "$PACKAGING"/sysctl.d/*.conf)" ]
	grep -oE '^[a-z0-9._-]+' "$PACKAGING"/sysctl.d/*.conf | while read -r key; do
		[ -e "/proc/sys/${key//.//}" ] || { echo "$key"; false; }
	done
}

@test "make deps installs the build dependencies of the packages" {
	local packages
	packages=$(sed -n "/^apt_build='/,/'\$/p" "$TOP/tests/install-deps" | tr -d "'\n")
	for package in ${packages#*=}; do
		case $package in
		gcc | make | libc6-dev) ;; # of every build
		*) grep -qE "^ $package," "$PACKAGING/debian/control" ||
			{ echo "$package is not in debian/control"; false; } ;;
		esac
	done
}

@test "the reload of the service falls back to SIGHUP where no control socket exists" {
	local command
	printf '{ "workers": 1, "admin": { "socket": "%s" }, "listeners": [ { "address": "127.0.0.1:0" } ] }\n' \
		"$PWD/admin_socket" >with.json
	sed 's|"socket": "[^"]*"|"socket": ""|' with.json >without.json
	cp with.json server.json
	start_yodeld -c server.json
	# As systemd expands it.
	command=$(sed -n 's/^ExecReload=//p' "$PACKAGING/systemd/yodeld.service" |
		sed "s|[\$][\$]|\$|g; s|/usr/bin/yodelctl|$BUILD/yodelctl -s $PWD/admin_socket|")
	reload_unit()
	{
		MAINPID=$YODELD_PID sh -c "$command"
	}
	cp without.json server.json
	run -0 reload_unit
	[ ! -e admin_socket ]
	# Now only the signal reaches the server.
	cp with.json server.json
	run -0 reload_unit
	wait_until test -S admin_socket
	# Where the socket exists, the outcome decides.
	echo '{' >server.json
	run -1 reload_unit
	grep -q 'generation 3 serves' "$YODELD_LOG"
}
