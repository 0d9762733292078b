#!/bin/sh
# The watchdog of a pod: ends the pod, with nobody's help, when it has been forgotten.
#
#   watchdog.sh start FOLDER QUIET_S PORT ENVIRON BASE_URL DEADLINE MODE   run detached, in the place of an older one
#   watchdog.sh run   (the same)                                           the loop itself
#   watchdog.sh beat FOLDER                                                somebody still cares; fails if none runs there
#   watchdog.sh end FOLDER                                                 end the one that runs there
#   watchdog.sh decide NOW LAST_BEAT QUIET_S DEADLINE QUEUE UNREADABLE_FACTOR
#   watchdog.sh decide-many                                                the same, a case a line of the input
#
# DEADLINE is an epoch or `none`, MODE is stop or terminate. FOLDER holds: pid (the one that counts), limits (DEADLINE
# and MODE, read at every look), beat (written by whoever still cares), log.
#
# Plain POSIX sh: a pod may have dash, busybox or bash, and curl or only Python; wget will do for the queue. The pod's
# key is read when it is needed, in a subshell that ends with the need. It goes to other programs by a pipe or their
# environment, never as an argument, into a file or into the log. printf must be a builtin for that; in these it is.
#
# Settings for tests, from the environment or else from the pod's variables: WATCHDOG_POLL_S; WATCHDOG_CLOCK names a
# file with the epoch that it is; WATCHDOG_HTTP lists the programs that may be used.
#
# shellcheck disable=SC2015 # A && B || C: where it is written, C is meant for a failure of B as well
set -u
umask 077
export LC_ALL=C NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

AGENT='autopod_nb-watchdog/1' # without one of its own, a client may be refused before its key is looked at
UNREADABLE_FACTOR=3           # a guess: a queue that cannot be read may be full, so silence must last so much longer
JUMP_S=75                     # a poll that took longer was no wait: the clock was set, or the pod was frozen
LONGEST_REST=20               # polls between two attempts to act; 5 minutes
LOG_BYTES=200000
HISTORY=100                   # jobs; a guess

# ---- the decision: pure, and of builtins only ----

is_number() { # bounded, so that no arithmetic overflows; no leading zero, which would make it octal
    case $1 in '' | *[!0-9]* | 0?* | ????????????????*) return 1 ;; esac
}

decide() { # sets $verdict; whatever makes no sense means wait: a guard must not kill a healthy run
    verdict='wait'
    is_number "$1" || return 0
    ! { is_number "$4" && [ "$1" -ge "$4" ]; } || { verdict='act: the deadline has passed'; return 0; }
    is_number "$2" && is_number "$3" && is_number "$6" && [ "$3" -gt 0 ] && [ "$6" -gt 0 ] || return 0
    silence=$(($1 - $2)) # negative after a beat from the future, and so never enough
    if ! is_number "$5"; then # ComfyUI may be busy, restarting or gone. The pod still must not bill for ever.
        [ $((silence / $6)) -lt "$3" ] || verdict="act: nobody called for $silence s and the queue cannot be read"
    elif [ "$5" -eq 0 ] && [ "$silence" -ge "$3" ]; then
        verdict="act: nobody called for $silence s and the queue is empty"
    fi
}

decide_many() {
    while read -r now last quiet deadline queue factor; do
        decide "$now" "$last" "$quiet" "$deadline" "$queue" "$factor" && echo "$verdict"
    done
}

# ---- small things ----

say() { # one line for the log, which is kept short; a full disk must not end the watchdog
    {
        echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*" >>"$folder/log"
        [ $(($(wc -c <"$folder/log"))) -le "$LOG_BYTES" ] ||
            { tail -n 500 "$folder/log" >"$folder/log.$$" && mv -f "$folder/log.$$" "$folder/log"; }
    } 2>/dev/null || :
}

put() { # NAME VALUE: whole or not at all
    echo "$2" >"$folder/$1.$$" && mv -f "$folder/$1.$$" "$folder/$1"
} 2>/dev/null

first_line() { # sets $line, to nothing if the file cannot be read
    line=
    [ ! -r "$folder/$1" ] || read -r line <"$folder/$1" || :
}

variable() { # one of the pod's; the newlines of a value are hidden, or a value could pretend to be another variable
    [ ! -r "$environ" ] || tr '\n\000' '\001\n' <"$environ" | sed -n "/^$1=/{s///p;q;}"
}

clock() { if [ -n "$clock_file" ]; then cat "$clock_file" 2>/dev/null; else date +%s; fi; }

settings() { # the arguments of `run` without the folder
    quiet_s=$1 port=$2 environ=$3 base_url=$4 deadline=$5 mode=$6
    poll_s=${WATCHDOG_POLL_S:-$(variable WATCHDOG_POLL_S)}
    case $poll_s in '' | *[!0-9.]*) poll_s=15 ;; esac
    clock_file=${WATCHDOG_CLOCK:-$(variable WATCHDOG_CLOCK)}
    clients=${WATCHDOG_HTTP:-$(variable WATCHDOG_HTTP)}
    clients=${clients:-curl wget python}
    key=
}

# ---- HTTP: with_X METHOD URL BODY TIMEOUT_S prints the answer and, as the last line, its status ----

with_curl() { # no redirect is followed: the key is for one host
    { [ -z "$key" ] || printf 'header = "Authorization: Bearer %s"\n' "$key"; } |
        curl -q -s -K - -X "$1" -A "$AGENT" -H 'Content-Type: application/json' ${3:+--data "$3"} \
            --max-time "$4" -w '\n%{http_code}' "$2"
}

with_wget() { # only for what needs no key: it takes headers from its arguments or a file
    [ -n "$key" ] || { wget -q -t 1 -O - -U "$AGENT" -T "$4" "$2" && printf '\n200'; }
}

PYTHON='
import sys, urllib.error, urllib.request as r
class Still(r.HTTPRedirectHandler):
    def redirect_request(self, *_): return None
(method, url, body, timeout, agent), key = sys.argv[1:], sys.stdin.read()
headers = {"User-Agent": agent, "Content-Type": "application/json"}
if key: headers["Authorization"] = "Bearer " + key
ask = r.Request(url, body.encode() or None, headers, method=method)
try: got = r.build_opener(Still).open(ask, timeout=float(timeout))
except urllib.error.HTTPError as error: got = error
print(got.read().decode(errors="replace")); print(got.getcode())
'

with_python() {
    python=$(command -v python3 || command -v python) || return 0
    printf %s "$key" | "$python" -c "$PYTHON" "$1" "$2" "$3" "$4" "$AGENT"
}

request() { # METHOD URL BODY TIMEOUT_S: sets $status (none without an answer) and $answer; may be asked twice
    for client in $clients; do # the next one if there is no answer: it may bring certificates that this one lacks
        answer=$("with_$client" "$@" 2>/dev/null)
        status=$(printf '%s\n' "$answer" | tail -n 1)
        case $status in [1-5][0-9][0-9]) return 0 ;; esac
    done
    status=none
}

# ---- acting ----

load_key() { # only what a Bearer header may carry (RFC 6750), so nothing needs quoting; for a subshell
    pod=$(variable RUNPOD_POD_ID)
    key=$(variable RUNPOD_API_KEY)
    case $pod in *[!A-Za-z0-9_-]*) pod= ;; esac
    case $key in *[!A-Za-z0-9._~+/=-]*) key= ;; esac
}

check() ( # prints the status of an allowed read, or why there is none
    [ -r "$environ" ] || { echo unreadable; return; }
    load_key
    [ -n "$pod" ] && [ -n "$key" ] || { echo keyless; return; }
    request GET "$base_url/v2/pods/$pod" '' 10
    echo "$status"
)

by_v2() {
    request POST "$base_url/v2/pods/$pod/action" "{\"action\": \"$mode\"}" 30
    say "v2 $mode: $status"
    [ "$status" != 404 ] || gone=yes
    case $status in 2??) ;; *) return 1 ;; esac
}

by_graphql() { # its errors come with status 200; a proxy's page has neither word
    case $mode in
        terminate) query="podTerminate(input: {podId: \\\"$pod\\\"})" ;;
        *) query="podStop(input: {podId: \\\"$pod\\\"}) { id desiredStatus }" ;;
    esac
    request POST "$base_url/graphql" "{\"query\": \"mutation { $query }\"}" 30
    case $answer in *'"errors"'*) status="$status with errors" ;; *'"data"'*) ;; *) status="$status without data" ;; esac
    say "graphql $mode: $status"
    [ "$status" = 200 ]
}

by_runpodctl() { # the one in a pod knows the old grammar only, and takes the key from its environment
    command -v runpodctl >/dev/null 2>&1 || { say 'runpodctl: there is none'; return 1; }
    case $mode in terminate) verb=remove ;; *) verb=stop ;; esac
    bound=$(command -v timeout) && bound="$bound 60"
    # shellcheck disable=SC2086 # two words, or none
    RUNPOD_API_KEY=$key RUNPOD_POD_ID=$pod $bound runpodctl "$verb" pod "$pod" >/dev/null 2>&1 </dev/null
    status=$?
    say "runpodctl $verb: exit $status"
    [ "$status" -eq 0 ]
}

save_history() { # ComfyUI forgets it when the pod stops; what it made stays on the disk. An empty one tells nothing
    request GET "http://127.0.0.1:$port/history?max_items=$HISTORY" '' 30
    case $status:$answer in 200:'{}'*) return 0 ;; 200:'{'*) ;; *) say "no history: $status"; return 0 ;; esac
    { printf '%s\n' "$answer" | sed '$d' >"$folder/history.$$" && mv -f "$folder/history.$$" "$folder/history"; } ||
        say 'the history cannot be kept'
} 2>/dev/null

act() ( # the ways in order until one succeeds; in a subshell, so that the key is not kept
    load_key
    [ -n "$pod" ] || { say "the pod's id is not in $environ"; return 1; }
    [ -n "$key" ] || say "no key of the pod in $environ"
    gone=no
    [ -n "$key" ] && by_v2 && return 0
    [ -n "$key" ] && by_graphql && return 0
    by_runpodctl && return 0
    [ "$gone" = yes ] # nothing left to end, they say; yet we live, so the other ways were tried first
)

# ---- processes ----

is_ours() { # whether a process is a watchdog of this folder: its number may be somebody else's by now
    is_number "$1" && [ "$1" -gt 1 ] || return 1
    if [ -d /proc/self ]; then words=$(tr '\000' ' ' <"/proc/$1/cmdline"); else words=$(ps -o args= -p "$1"); fi
    case ${words:-} in *"watchdog.sh run $folder "*) ;; *) return 1 ;; esac
} 2>/dev/null

stop_process() { # with what it has started; five seconds, then by force
    left=50
    while is_ours "$1"; do
        signal=TERM
        [ "$left" -gt 0 ] || signal=KILL
        kill -s "$signal" -- "-$1" || kill -s "$signal" "$1"
        left=$((left - 1))
        [ "$left" -gt -20 ] || return 1
        sleep 0.1 || sleep 1
    done 2>/dev/null
}

is_the_one() { # a file that cannot be read just now tells nothing; a missing one means disarmed
    first_line pid
    [ "$line" = "$$" ] || { [ -z "$line" ] && { [ -e "$folder/pid" ] || [ ! -d "$folder" ]; }; }
}

# ---- the loop ----

look() { # reads clock, beat, limits and queue, then decides
    now=$(clock)
    # The moment at which a new beat is seen counts, not what stands in it (the pod's own time, so that two differ): thus
    # no other clock matters, and neither does one that was set since.
    first_line beat
    if is_number "$now" && { ! is_number "$last" || { [ -n "$line" ] && [ "$line" != "$beat" ]; }; }; then
        last=$now beat=$line
    fi
    first_line limits
    case $line in *' stop' | *' terminate') deadline=${line%% *} mode=${line##* } ;; esac
    request GET "http://127.0.0.1:$port/prompt" '' 5
    queue=unknown
    [ "$status" != 200 ] || queue=$(printf %s "$answer" | tr -d '\n' |
        sed -n 's/.*"queue_remaining"[^0-9]*\([0-9][0-9]*\).*/\1/p')
    decide "$now" "$last" "$quiet_s" "$deadline" "${queue:-unknown}" "$UNREADABLE_FACTOR"
}

rest() { # POLLS SINCE
    polls=$1 before=$2
    while [ "$polls" -gt 0 ] && is_the_one; do
        sleep "$poll_s" || sleep 15
        after=$(clock)
        polls=$((polls - 1))
        is_number "$after" || continue
        is_number "$before" || before=$after
        # A clock that was set, or a pod that was frozen, says nothing about who called: the silence begins anew.
        if [ "$after" -lt "$before" ] || [ $((after - before)) -gt "$JUMP_S" ]; then
            say "the clock went from $before to $after"
            last=$after
        fi
        before=$after
    done
}

run() {
    folder=$1
    shift
    settings "$@"
    trap '' HUP
    cd / || :
    first_line pid
    older=$line
    put limits "$deadline $mode" || rm -f "$folder/limits" # those of an older one must not count
    say "started: $mode after $quiet_s s of silence, deadline $deadline"
    put pid "$$" || { say 'cannot write into its folder'; return 1; }
    [ "$older" = "$$" ] || stop_process "$older"
    first_line beat
    beat=$line last=$(clock) pause=1 # a beat from before the start is old news
    while is_the_one; do
        look
        if [ "$verdict" != wait ]; then
            say "$verdict; $mode"
            [ "$mode" = terminate ] || save_history
            if act; then
                say 'done'
                ! is_the_one || rm -f "$folder/pid"
                return 0
            fi
            rest "$pause" "$(clock)"
            pause=$((pause * 2 < LONGEST_REST ? pause * 2 : LONGEST_REST))
        else
            pause=1
            rest 1 "$now"
        fi
    done
    say 'ended: disarmed, or another one took over'
}

start() {
    folder=$1
    first_line pid
    older=$line
    put beat "$(date +%s)" || { echo 'cannot write into the folder' >&2; return 1; }
    detach=$(command -v setsid) || detach=$(command -v python3) # macOS has no setsid
    case $detach in
        *python3) "$detach" -c 'import os, sys; os.setsid(); os.execvp("sh", sys.argv[1:])' sh "$0" run "$@" & ;;
        *) ${detach:+"$detach"} sh "$0" run "$@" & ;;
    esac </dev/null >/dev/null 2>>"$folder/log"
    left=100
    until first_line pid && [ "$line" = "$!" ]; do
        left=$((left - 1))
        [ "$left" -gt 0 ] && kill -0 "$!" 2>/dev/null || break
        sleep 0.1 2>/dev/null || sleep 1
    done
    running=no
    [ "$line" != "$!" ] || running=yes
    [ "$running" = no ] || [ "$older" = "$!" ] || stop_process "$older" # the new one is at it, too
    echo "running $running"
    shift
    settings "$@"
    echo "check $(check)"
}

beat() {
    folder=$1
    first_line pid
    is_ours "$line" || { echo 'none runs any more' >&2; return 1; }
    put beat "$(date +%s)" || { echo 'cannot write into the folder' >&2; return 1; }
}

end() {
    folder=$1
    first_line pid
    rm -f "$folder/pid"
    stop_process "$line"
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
    decide) decide "$@" && echo "$verdict" ;;
    decide-many) decide_many ;;
    start | run | beat | end) "$command" "$@" ;;
    *) echo 'usage: watchdog.sh start | run | beat | end | decide | decide-many' >&2; exit 2 ;;
esac
