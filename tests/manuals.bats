#!/usr/bin/env bats
# The manuals match the programs.

load lib/helpers

YODELCTL=$BUILD/yodelctl

@test "no quotation in a manual is nested in another" {
	local manual root=$BATS_TEST_DIRNAME/..
	for manual in "$root"/{master/yodeld.8,ctl/yodelctl.1,conf/yodeld.json.5,client/yodel.1,client/yodel-survey.1,client/yodel-conversation.5}; do
		mandoc -Tutf8 "$manual" >shown
		python3 - <<-'END'
			import re
			text = re.sub(".\b", "", open("shown", encoding="utf-8").read())
			assert "EXAMPLES" in text
			found = re.findall("\u2018[^\u2019]*\u2018.{,20}", text)
			assert not found, found
		END
	done
}

@test "the manuals name every option and every command" {
	local top=$BATS_TEST_DIRNAME/.. option command
	for option in $("$YODELD" --help | grep -oE -- '--[a-z-]+' | sort -u); do
		grep -qE -- "Fl -${option#--}( |$)" "$top/master/yodeld.8" || {
			echo "yodeld.8: no $option"
			return 1
		}
	done
	for option in $("$YODELCTL" --help | grep -oE -- '--[a-z-]+' | sort -u); do
		grep -qE -- "Fl -${option#--}( |$)" "$top/ctl/yodelctl.1"
	done
	run -64 "$YODELCTL"
	output=${output##*expected one of}
	for command in ${output//,/}; do
		grep -qE "^\.It Cm $command( |$)" "$top/ctl/yodelctl.1" || {
			echo "yodelctl.1: no $command"
			return 1
		}
	done
}

@test "each log line explained in the manual exists in the code" {
	python3 - "$BATS_TEST_DIRNAME/.." <<-'END'
		import glob, re, sys
		text = "".join(open(f).read() for d in ("master", "worker", "net", "http", "conf", "lib")
		               for f in sorted(glob.glob(f"{sys.argv[1]}/{d}/**/*.c", recursive=True)))
		text = re.sub(r'"\s*\n\s*"', "", text) # one string in several lines
		text = re.sub(r'"\[[a-z0-9_ ]+\] ', '"', text) # names of events (lib/log.h)
		formats = [f for f in re.findall(r'"((?:[^"\\\n]|\\.)*)"', text) if len(f) > 15]
		shapes = [".*".join(map(re.escape, re.split("%[a-z0-9.]+", f.partition("; fix:")[0]))) for f in formats]
		page = open(f"{sys.argv[1]}/master/yodeld.8").read().replace("\\\n", "")
		page = page[page.index(".Sh DIAGNOSTICS"):page.index(".Sh SEE ALSO")]
		lines = re.findall(r'^\.It Li "(.*)"$', page, re.M)
		assert len(lines) > 5
		for line in lines:
		    assert any(re.fullmatch(s + "(: .*)?", line) for s in shapes), line
	END
}

@test "the examples of yodel-conversation(5) compile" {
	python3 - "$BATS_TEST_DIRNAME/../client/yodel-conversation.5" <<-'END'
		import re, sys
		text = open(sys.argv[1], encoding="utf-8").read()
		text = text[text.index(".Sh EXAMPLES"):]
		for i, block in enumerate(re.findall(r"\.Bd [^\n]*\n(.*?)\.Ed", text, re.S)):
		    open(f"{i}.talk", "w", encoding="utf-8").write(block.replace("\\e", "\\"))
	END
	[ -e 3.talk ]
	local file
	for file in ./*.talk; do
		run -0 "$YODEL" check "$file"
	done
}
