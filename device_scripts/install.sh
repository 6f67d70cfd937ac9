#!/usr/bin/env bash
# Install the live loop as a systemd service, or remove it. `install.sh --help` says how.
#
# An install makes a new folder and then puts the unit that names it in the place of the old one.
# Until then nothing has changed, and whatever fails takes back what was done.
set -euo pipefail
# What looks at the model here must not leave a database in root's home.
export ORT_DISABLE_TELEMETRY=1

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
unit=edge-live.service
action=install model='' labels='' source=auto user=edge-live prefix=/opt/edge-live
python=/usr/bin/python3 package='' wheels='' root='' start=yes remove_logs='' dry_run='' options=()
# What the source and the options need: the network, ports to listen at, packages, secrets.
reach=local connects='' ports=() extras=() credentials=() option_words=()

usage() {
    cat <<'END'
usage: install.sh --model FILE [options] [-- options of edge-live]
       install.sh --uninstall [--remove-logs]

Installs the live loop as the systemd service edge-live: started at boot, watched, restarted.
To update, run it again. Logs are in /var/log/edge-live.

  --model FILE    a .tflite or .onnx classifier; it is copied
  --labels FILE   one class name a line; it is copied
  --source S      picamera2, v4l2:0, rtsp://...: whatever edge-live takes (default: auto)
  --user NAME     runs as this system user, which is made where there is none (edge-live)
  --prefix DIR    where the files go (/opt/edge-live)
  --package PATH  what to install: a wheel, or the sources (default: those around this script)
  --wheels DIR    take all packages from this folder, none from the network
  --python PATH   the system's Python (/usr/bin/python3)
  --no-start      enable the service, do not start it
  --root DIR      install into a system below DIR that is not running
  --dry-run       say what would be done, do nothing
  --uninstall     remove what was installed; logs stay unless you say otherwise
  --remove-logs   with --uninstall: remove the logs too

examples:
  sudo device_scripts/install.sh --model model.int8.tflite --source picamera2
  sudo device_scripts/install.sh --model model.int8.tflite --source v4l2:0 -- --threads 2
  sudo device_scripts/install.sh --model model.int8.tflite -- --web 8080 \
      --mqtt mqtts://pi@broker/porch --mqtt-password-file /root/mqtt-password
  sudo device_scripts/install.sh --uninstall
END
}

say() { printf '%s\n' "$*"; }

fail() {
    printf 'install.sh: error: %s\n' "$*" >&2
    exit 2
}

# Do what the arguments say, or only say it.
run() {
    if [[ $dry_run ]]; then
        printf 'would run:'
        printf ' %q' "$@"
        printf '\n'
    else
        "$@"
    fi
}

# systemctl, for the system below --root where one is given.
control() { run systemctl ${root:+"--root=$root"} --quiet "$@"; }
# The same for what only a running system has.
manage() { [[ $root ]] || control "$@"; }

has_line() { [[ -r $root$1 ]] && grep -q "^$2:" "$root$1"; }

installed_prefix() { sed -n '/^\[X-Install\]/,$s/^Prefix=//p' "$unit_path"; }

parse() {
    while (($#)); do
        case $1 in
        --model | --labels | --source | --user | --prefix | --package | --wheels | --python | --root)
            (($# > 1)) || fail "$1 needs a value"
            printf -v "${1#--}" %s "$2"
            shift
            ;;
        --no-start) start='' ;;
        --dry-run) dry_run=yes ;;
        --uninstall) action=uninstall ;;
        --remove-logs) remove_logs=yes ;;
        --help | -h) usage && exit ;;
        --)
            shift
            options=("$@")
            break
            ;;
        *) fail "$1: no such option; see --help (options of edge-live go behind --)" ;;
        esac
        shift
    done
    [[ ! $root ]] || root=$(realpath -- "$root")
    root=${root%/}
    unit_path=$root/etc/systemd/system/$unit
    logs=$root/var/log/edge-live
}

check_common() {
    local word
    for word in "$prefix" "$model" "$labels" "$source" "${options[@]}"; do
        if [[ $word == *[[:cntrl:]]* ]] || ! iconv -f UTF-8 -t UTF-8 <<<"$word" &>/dev/null; then
            fail "$(printf %q "$word") holds control characters or no UTF-8, which no unit can"
        fi
    done
    [[ $prefix == /?* && $prefix != */ ]] || fail "--prefix $prefix: name an absolute folder"
    [[ $prefix != *[\"\'\\]* ]] || fail "--prefix $prefix: no program of systemd's has \", ' or \\"
    command -v systemctl >/dev/null || fail "there is no systemctl: this system has no systemd"
    [[ $root || $dry_run || $(id -u) == 0 ]] || fail "this needs root: run it with sudo"
}

check_install() {
    [[ $model ]] || fail "--model is missing: name a .tflite or .onnx file"
    [[ -f $model && -r $model ]] || fail "$model: there is no such model"
    case $model in
    *.tflite) extra=tflite ;;
    *.onnx) extra=onnx ;;
    *) fail "$model: neither .tflite nor .onnx" ;;
    esac
    [[ ! $labels || -r $labels ]] || fail "$labels: there is no such file of labels"
    [[ $user =~ ^[a-z_][a-z0-9_-]{0,31}$ ]] || fail "--user $user: allowed: a-z, 0-9, _ and -"
    [[ $user != root ]] || fail "--user root: the service must not run as root"
    [[ -d $root${prefix%/*}/ ]] || fail "--prefix $prefix: make ${prefix%/*} first"
    [[ ! -e $unit_path || $(installed_prefix) == "$prefix" ]] ||
        fail "$unit_path is there, of an install in '$(installed_prefix)': take that --prefix," \
            "--uninstall first, or remove what is not ours by hand"
    [[ -d $root/etc/systemd/system ]] || fail "$root/etc/systemd/system is missing: no systemd"
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "$python cannot make environments: sudo apt install python3-venv"
    package=${package:-$(dirname -- "$here")}
    [[ -f $package || -f $package/pyproject.toml ]] ||
        fail "$package: neither a wheel nor the sources; name one with --package"
    package=$(realpath -- "$package")
    [[ ! $wheels || -d $wheels ]] || fail "--wheels $wheels: there is no such folder"
    case $source in
    *://*) reach=network connects=yes ;;
    picamera2*)
        "$python" -c 'import picamera2' 2>/dev/null ||
            fail "$python cannot import picamera2: sudo apt install python3-picamera2"
        ;;
    auto | digits) ;;
    *)
        [[ ! -e $source ]] || source=$(realpath -- "$source")
        case $source in
        /home/* | /root/* | /run/user/* | /tmp/* | /var/tmp/*)
            [[ $root ]] || fail "--source $source: the service sees no homes and not /tmp"
            ;;
        esac
        ;;
    esac
}

# Read the options of edge-live that need more than the camera, as edge-live reads them.
read_options() {
    local word value host given=("${options[@]}")
    while ((${#given[@]})); do
        word=${given[0]} given=("${given[@]:1}")
        case $word in
        --web=* | --metrics=* | --mqtt=* | --token-file=* | --mqtt-password-file=* | --mqtt-ca=*)
            value=${word#*=} word=${word%%=*}
            ;;
        --web | --metrics | --mqtt | --token-file | --mqtt-password-file | --mqtt-ca)
            ((${#given[@]})) || fail "$word needs a value"
            value=${given[0]} given=("${given[@]:1}")
            ;;
        *)
            option_words+=("$(quoted "$word")")
            continue
            ;;
        esac
        option_words+=("$(quoted "$word")")
        case $word in
        --web | --metrics)
            extras+=("${word#--}")
            # The page has the report.
            [[ $word != --web ]] || extras+=(report)
            [[ $value =~ (^|:)([1-9][0-9]{3,4})$ ]] ||
                fail "$word $value: allowed: PORT or HOST:PORT, from 1024 on"
            ports+=("${value##*:}")
            reaches "${value%:*}" "$value"
            ;;
        --mqtt)
            extras+=(mqtt)
            connects=yes
            host=${value#*://} host=${host%%/*} host=${host##*@}
            [[ ! $host =~ :[0-9]+$ ]] || host=${host%:*}
            reaches "$host" ''
            ;;
        *)
            # The service manager reads it as root, and gives it to the service alone.
            [[ $root ]] || value=$(realpath -m -- "$value")
            [[ -r $root$value && -f $root$value ]] || fail "$word $value: there is no such file"
            credentials+=("LoadCredential=${word#--}:${value//%/%%}")
            option_words+=("\"%d/${word#--}\"")
            continue
            ;;
        esac
        option_words+=("$(quoted "$value")")
    done
    [[ $open_to_others != yes || " ${credentials[*]}" == *" LoadCredential=token-file:"* ]] ||
        fail "others than this machine may ask only with a token: pass --token-file FILE behind --"
}

# Note that a host, "" or a mere port for this machine, is to be reached, or to reach us by $2.
open_to_others=''
reaches() {
    case $1 in
    127.* | localhost | '[::1]' | "$2") [[ $reach != local ]] || reach=loopback ;;
    *)
        reach=network
        [[ ! $2 ]] || open_to_others=yes
        ;;
    esac
}

# An argument as systemd.syntax(7) reads it; what % means is in systemd.unit(5).
quoted() {
    local text=$1 backslash=\\
    text=${text//"$backslash"/"$backslash$backslash"}
    text=${text//\"/"$backslash\""}
    printf '"%s"' "${text//%/%%}"
}

unit_text() {
    local text words=() word groups='' version listen='' kept=(-e "s/^@$reach //")
    kept+=(-e '/^@local /d' -e '/^@loopback /d' -e '/^@network /d')
    for word in "$prefix/$name/venv/bin/python" -I -B -X faulthandler \
        -m device_scripts.live_classify --model "$prefix/$name/model/$(basename -- "$model")" \
        ${labels:+--labels "$prefix/$name/labels.txt"} --source "$source" \
        --log /var/log/edge-live/latency.jsonl; do
        words+=("$(quoted "$word")")
    done
    words+=("${option_words[@]}")
    for word in video render; do
        if has_line /etc/group "$word"; then groups+="${groups:+ }$word"; fi
    done
    # Who connects to others may bind to any port while at it.
    if ((${#ports[@]})) && [[ ! $connects ]]; then
        listen=SocketBindDeny=any$(printf '\nSocketBindAllow=tcp:%s' "${ports[@]}")
    fi
    version=$(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')
    # Delays that grow came with 254; before, each is the first.
    if ((${version:-0} >= 254)); then kept+=(-e 's/^@steps //'); else kept+=(-e '/^@steps /d'); fi
    text=$(sed -e '/^# In the template/d' "${kept[@]}" "$here/$unit")
    text=${text/@USER@/"$user"}
    text=${text/@GROUPS@/"$groups"}
    text=${text/@PREFIX@/"$prefix"}
    text=${text/@LISTEN@$'\n'/"${listen:+$listen$'\n'}"}
    text=${text/@CREDENTIALS@$'\n'/"$(printf '%s\n' "${credentials[@]}")"$'\n'}
    # Last: what the user wrote may hold any of those words.
    printf '%s\n' "${text/@COMMAND@/"${words[*]}"}"
}

undo=()
finish() {
    local status=$? step
    trap - EXIT
    if ((status)) && ((${#undo[@]})); then
        say "install.sh: failed; taking back what was done" >&2
        set +e
        for step in "${undo[@]}"; do "$step"; done
    fi
    exit "$status"
}
may_undo() { undo=("$1" "${undo[@]}"); }
undo_prefix() { rmdir -- "$root$prefix"; }
undo_release() { rm -rf -- "$release"; }
undo_account() {
    remove_account "$user"
    forget_account "$user"
}
undo_unit() {
    rm -f -- "$unit_path.new"
    if [[ -e $release/unit.before ]]; then
        mv -- "$release/unit.before" "$unit_path"
        [[ $was_enabled ]] || control disable "$unit"
        manage daemon-reload
        if [[ $was_active ]]; then manage restart --no-block "$unit"; else manage stop "$unit"; fi
    else
        manage stop "$unit"
        control disable "$unit"
        rm -f -- "$unit_path"
        manage daemon-reload
        manage reset-failed "$unit" 2>/dev/null
    fi
}

forget_account() {
    local rest
    rest=$(grep -vx -- "$1" "$root$prefix/accounts") || true
    if [[ $rest ]]; then say "$rest" >"$root$prefix/accounts"; else rm -f -- "$root$prefix/accounts"; fi
}

remove_account() {
    run userdel ${root:+--prefix "$root"} "$1"
    # Its group goes with it, but for where login.defs says otherwise.
    if has_line /etc/group "$1"; then run groupdel ${root:+--prefix "$root"} "$1"; fi
}

make_account() {
    ! has_line /etc/passwd "$user" || return 0
    if [[ $root && $(id -u) != 0 ]]; then
        say "the user $user is not there yet: make it below $root, as root"
        return 0
    fi
    run useradd ${root:+--prefix "$root"} --system --user-group --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
    if [[ ! $dry_run ]]; then
        may_undo undo_account
        say "$user" >>"$root$prefix/accounts"
    fi
}

make_release() {
    local needs=("${package}[$(printf '%s\n' "$extra" "${extras[@]}" | sort -u | paste -sd,)]") venv
    if [[ $dry_run ]]; then
        release=$root$prefix/release.NEW
    else
        release=$(mktemp -d -- "$root$prefix/release.XXXXXX")
        may_undo undo_release
        chmod 0755 -- "$release"
    fi
    name=${release##*/} venv=$release/venv
    # The system's camera library is compiled for NumPy 1 where that is the system's.
    if "$python" -c 'import numpy; assert numpy.__version__ < "2"' 2>/dev/null; then
        needs+=('numpy<2' 'opencv-python-headless<4.12')
    fi
    run "$python" -m venv --system-site-packages "$venv"
    run "$venv/bin/python" -m pip install --quiet --no-cache-dir --disable-pip-version-check \
        --root-user-action ignore ${wheels:+--no-index --find-links "$wheels"} "${needs[@]}"
    run install -d -m 0755 -- "$release/model"
    run install -m 0444 -- "$model" "$release/model/"
    [[ ! $labels ]] || run install -m 0444 -- "$labels" "$release/labels.txt"
    # What does not work here will not work in the service, where nobody looks.
    run "$venv/bin/python" -I -c 'import sys; from pathlib import Path
from edge.backends import open_model
open_model(Path(sys.argv[1])).close()' "$release/model/$(basename -- "$model")"
    # --version comes last: what stands before it is read first, and refused where it is wrong.
    run "$venv/bin/python" -I -m device_scripts.live_classify --model "$model" \
        --source "$source" "${options[@]}" --version
    [[ $source != picamera2* ]] || run "$venv/bin/python" -I -c 'import picamera2'
}

put_unit() {
    local text
    text=$(unit_text)
    was_active='' was_enabled=''
    if [[ $dry_run ]]; then
        printf 'would write %s:\n%s\n' "$unit_path" "$text"
        return
    fi
    if [[ ! $root ]] && systemctl --quiet is-active "$unit"; then was_active=yes; fi
    if control is-enabled "$unit" &>/dev/null; then was_enabled=yes; fi
    [[ ! -e $unit_path ]] || cp -p -- "$unit_path" "$release/unit.before"
    say "$text" >"$release/$unit"
    may_undo undo_unit
    # Not `mv`: from another file system it would not be one step.
    cp -- "$release/$unit" "$unit_path.new" && mv -- "$unit_path.new" "$unit_path"
}

start_service() {
    manage daemon-reload
    control enable "$unit"
    if [[ ! $root && ! $dry_run ]]; then
        systemctl show --property LoadState --value "$unit" | grep -qx loaded ||
            fail "systemd does not take $unit_path: see systemctl status edge-live"
    fi
    if [[ $start ]] && ! manage restart "$unit"; then
        say "install.sh: error: the service does not start:" \
            "$(systemctl show --property StatusText --value "$unit")" >&2
        say "see journalctl -u edge-live; to install without starting it: --no-start" >&2
        exit 1
    fi
}

install_service() {
    local old
    check_install
    read_options
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    if [[ ! -d $root$prefix ]]; then
        run install -d -m 0755 -- "$root$prefix"
        [[ $dry_run ]] || may_undo undo_prefix
    fi
    make_account
    make_release
    put_unit
    start_service
    undo=()
    for old in "$root$prefix"/release.*; do
        # With --no-start the one that runs is still needed; the next install removes it.
        [[ $old == "$release" || ! -d $old || (! $start && $was_active) ]] ||
            run rm -rf -- "$old"
    done
    [[ $dry_run ]] || rm -f -- "$release/unit.before" "$release/$unit"
    [[ $dry_run ]] || say "installed in $prefix, as the user $user. How it goes: systemctl status edge-live"
    case $source in *://*@*) say "the password in --source is in $unit_path, for all to read" ;; esac
}

uninstall_service() {
    local old account
    if [[ -f $unit_path ]]; then
        prefix=$(installed_prefix)
        [[ $prefix == /?* ]] || fail "$unit_path was not written by install.sh; remove it by hand"
        # A unit that systemd cannot read runs nothing that could be stopped.
        manage stop "$unit" || true
        control disable "$unit"
        run rm -f -- "$unit_path"
        manage daemon-reload
        manage reset-failed "$unit" 2>/dev/null || true
    elif [[ ! -d $root$prefix ]]; then
        say "nothing is installed in $prefix"
    fi
    for old in "$root$prefix"/release.*; do
        [[ ! -d $old ]] || run rm -rf -- "$old"
    done
    run rm -rf -- "$root/var/cache/edge-live"
    remove_or_keep_logs
    if [[ -f $root$prefix/accounts ]]; then
        while read -r account; do
            remove_account "$account"
        done <"$root$prefix/accounts"
        run rm -f -- "$root$prefix/accounts"
    fi
    if [[ -d $root$prefix ]] && ! run rmdir -- "$root$prefix" 2>/dev/null; then
        say "left: $root$prefix, which holds what install.sh did not put there"
    fi
    [[ ! -d $unit_path.d ]] || say "left: $unit_path.d, your own changes to the service"
}

remove_or_keep_logs() {
    local answer=n
    [[ -d $logs ]] || return 0
    if [[ ! $remove_logs && ! $dry_run && -t 0 ]]; then
        read -r -p "remove the logs in $logs too? [y/N] " answer || true
    fi
    if [[ $remove_logs || $answer == [yY]* ]]; then
        run rm -rf -- "$logs"
    else
        # The number of a user that is gone may be another's tomorrow.
        [[ $(id -u) != 0 ]] || run chown -hR root:root -- "$logs"
        say "left: the logs in $logs"
    fi
}

parse "$@"
check_common
"${action}_service"
