#!/usr/bin/env bats
# What an operator can tune for speed: congestion control, balance, spinning.

load lib/helpers

hold() # COUNT
{
	spawn hold "$CALLER" hold "127.0.0.1:$PORT" "$1"
	wait_until grep -q holding hold.out
}

# The congestion controls of the server's ends, each once.
congestion_in_use()
{
	ss -Htin "sport = :$PORT" | grep -oE '\b(reno|bbr|cubic)\b' | sort -u
}

@test "a listener has the congestion control that its configuration names" {
	local default
	default=$(</proc/sys/net/ipv4/tcp_congestion_control)
	start_yodeld_with '"reply": "echo", "congestion": "reno"'
	hold 3
	[ "$(congestion_in_use)" = reno ]
	end_spawned
	start_yodeld_with '"reply": "echo"'
	hold 3
	[ "$(congestion_in_use)" = "$default" ]
}

@test "a reload changes the congestion control of connections to come, and back" {
	local default
	default=$(</proc/sys/net/ipv4/tcp_congestion_control)
	start_yodeld_with '"reply": "echo"'
	cp listener.json default.json
	change_to() # SED, NAME
	{
		sed "$1" default.json >listener.json
		kill -HUP "$YODELD_PID"
		has_changed()
		{
			"$CALLER" ask "127.0.0.1:$PORT" x
			spawn hold "$CALLER" hold "127.0.0.1:$PORT" 1
			wait_until grep -q holding hold.out
			local found
			found=$(congestion_in_use)
			kill "$SPAWNED"
			[ "$found" = "$2" ]
		}
		wait_until has_changed "$@"
	}
	change_to 's/"reply"/"congestion": "reno", &/' reno
	change_to '' "$default"
}

@test "a congestion control that the kernel has not ends the start with 71, a reload with the old one" {
	run -71 "$YODELD" -l 127.0.0.1:0=echo --set 'listeners[0].congestion=valley'
	[[ $output = *"cannot set the congestion control of 127.0.0.1:0"*"No such file"* ]]
	start_yodeld_with '"reply": "echo"'
	sed -i 's/"reply"/"congestion": "valley", &/' listener.json
	kill -HUP "$YODELD_PID"
	wait_until grep -q 'reload failed, the old configuration stays: cannot set the congestion control of 127.0.0.1:0 to valley: No such file or directory' "$YODELD_LOG"
	"$CALLER" ask "127.0.0.1:$PORT" x
}
