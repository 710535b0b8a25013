#!/usr/bin/env bash
# Builds the image and lives with it as a user would: bash test/image.sh, as root, on Debian or
# Ubuntu. Neither a daemon nor a registry of images is needed: buildah builds over bases that are
# made here from Debian's packages and the local Bun and bear the real names; a container is a
# process in a chroot with a mount and a process namespace of its own.

set -euo pipefail
cd "$(dirname "$0")/.."

default_path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
work=$(mktemp -d "${TMPDIR:-/tmp}/kv-image.XXXXXX")
passed=0
failed=0
root=""      # the tree of the container
outer=""     # the process that holds the namespaces of the running container
container="" # the first process in it, by its number out here
ended=""     # the exit code of the last container
port=5000

main() {
  local tool
  for tool in buildah mmdebstrap unshare nsenter script curl npx; do
    command -v "$tool" >/dev/null || fail_all "the tool $tool is missing; install its package"
  done
  [ "$(id -u)" = 0 ] || fail_all "only root may build and start the image here"
  make_bases
  build_image
  read_image
  check_configuration
  check_files
  check_life
  check_unwritable_data
  echo "image: $passed passed, $failed failed"
  [ "$failed" = 0 ]
}

# --- checks ---

check_configuration() {
  expect "the entrypoint is kv" '["kv"]' "$(configuration Entrypoint)"
  expect "the command is serve" '["serve"]' "$(configuration Cmd)"
  expect "the user is given by number" '"10001:10001"' "$(configuration User)"
  expect "the data directory is a volume" '{"/data":{}}' "$(configuration Volumes)"
  expect "the port is 5000" '{"5000/tcp":{}}' "$(configuration ExposedPorts)"
  expect "it is stopped by SIGTERM" '"SIGTERM"' "$(configuration StopSignal)"
  expect "its health check is kv health" '["CMD","kv","health"]' "$(configuration Healthcheck.Test)"
  expect "it listens on every address, keeps its data in /data and sets nothing else" \
    "[\"KV_DATA=/data\",\"KV_HOST=0.0.0.0\",\"PATH=$default_path\"]" "$(configuration 'Env.sort()')"
}

check_files() {
  expect "the data directory belongs to the user alone" "10001:10001 700" \
    "$(stat --format '%u:%g %a' "$root/data")"
  expect "the user has a name" "kv" "$(in_image id -un)"
  expect "kv is on the PATH" "/usr/local/bin/kv" "$(in_image sh -c 'command -v kv')"
  expect "no compiler and no source is left in it" "" \
    "$(cd "$root" && ls --directory build usr/local/bin/bun 2>/dev/null || true)"
}

check_life() {
  # A new volume gets the owner and the mode of the directory that it covers.
  cp --archive "$root/data" "$work/volume"
  start "$work/volume"
  expect "kv is the first process of the container" "kv 1" \
    "$(awk '/^Name/ { name = $2 } /^NSpid/ { print name, $NF }' "/proc/$container/status")"
  expect "kv runs as the user of the image" "10001" "$(stat --format %u "/proc/$container")"
  expect "the published port answers" "200" "$(http_status)"
  check_shell
  check_watch
  expect "the health check passes" "0" "$(code_of in_container kv health)"
  stop TERM
  expect "SIGTERM ends it with 0" "0" "$ended"
  expect "the health check fails when kv is gone" "1" "$(code_of in_image kv health)"

  start "$work/volume"
  expect "the data is there after a restart" "hello" "$(in_container kv get greeting)"
  stop INT
  expect "SIGINT ends it with 0" "0" "$ended"
}

# What `docker exec -it ID /bin/sh` gives: a shell on a terminal, and commands as documented.
check_shell() {
  local screen
  enter_container
  screen=$(
    printf '%s\n' 'kv --help' 'echo "help $?"' 'kv put greeting hello' 'echo "put $?"' \
      'kv get greeting' 'echo "get $?"' 'kv get nothing' 'echo "absent $?"' 'exit' |
      script --quiet --command "${entered[*]@Q} /bin/sh" /dev/null |
      tr --delete '\r' | sed 's/^\(\$ \)*//'
  )
  expect_line "kv --help works in a shell" "help 0" "$screen"
  expect_line "kv put works in a shell" "put 0" "$screen"
  expect_line "kv get works in a shell" "hello" "$screen"
  expect_line "kv get succeeds in a shell" "get 0" "$screen"
  expect_line "kv get of an absent key says so" "absent 3" "$screen"
}

check_watch() {
  local watch count
  in_container timeout 20 kv watch 2>"$work/complaints" | head --lines=1 >"$work/seen" &
  watch=$!
  # Nothing out here can see when the watch begins, so there are changes until it has shown one.
  for count in $(seq 100); do
    in_container kv put seen "change $count"
    sleep 0.1
    kill -0 "$watch" 2>/dev/null || break
  done
  wait "$watch" || true
  expect_part "kv watch shows a change" '"key":"seen"' "$(cat "$work/seen")"
  expect "kv watch has nothing to complain about" "" "$(cat "$work/complaints")"
}

# `docker run -v /somewhere:/data` where the directory belongs to root.
check_unwritable_data() {
  mkdir --mode=755 "$work/unwritable"
  spawn "$work/unwritable"
  await_end
  expect "a data directory that kv may not write to ends it with 1" "1" "$ended"
  expect "one line says so" "1" "$(wc --lines <"$work/output")"
  expect_part "the line names the directory" "/data" "$(cat "$work/output")"
  expect_part "the line names the user by number" "10001" "$(cat "$work/output")"
}

# --- building ---

make_bases() {
  local version tree base
  version=$(sed -n 's/.*"packageManager": "bun@\(.*\)".*/\1/p' package.json)
  bun=$(npx -y "bun@$version" -p process.execPath)
  tree=$(debian_tree)
  echo '{"default":[{"type":"insecureAcceptAnything"}]}' >"$work/policy.json"

  base=$(build from scratch)
  build add --quiet "$base" "$tree" / >/dev/null
  build config --cmd '["bash"]' --env "PATH=$default_path" "$base"
  build commit --quiet --rm "$base" docker.io/library/debian:bookworm-slim >/dev/null

  base=$(build from --pull-never debian:bookworm-slim)
  build copy --quiet "$base" "$bun" /usr/local/bin/bun >/dev/null
  build commit --quiet --rm "$base" "docker.io/oven/bun:$version" >/dev/null
}

# A minimal Debian as a tar file, kept for a week: it takes a quarter of a minute to make.
debian_tree() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/kv-image
  mkdir --parents "$cache"
  if [ -z "$(find "$cache" -name bookworm.tar -mtime -7)" ]; then
    mmdebstrap --quiet --variant=minbase bookworm "$work/bookworm.tar" >&2
    mv "$work/bookworm.tar" "$cache/bookworm.tar"
  fi
  echo "$cache/bookworm.tar"
}

# The packages of the build stage come from where this machine gets its own: its certificates and
# its npm settings are there while the build runs, and stay in no layer.
build_image() {
  local mounts=(--volume /etc/ssl/certs:/etc/ssl/certs:ro)
  if [ -f "$HOME/.npmrc" ]; then mounts+=(--volume "$HOME/.npmrc:/root/.npmrc:ro"); fi
  build bud --isolation chroot --pull-never --format docker "${mounts[@]}" --tag kv . \
    >"$work/build.log" 2>&1 || fail_all "the image does not build: $(cat "$work/build.log")"
  build inspect --type image kv >"$work/image.json"
  root=$(build mount "$(build from --pull-never kv)")
  pass "the image builds"
}

build() {
  local command=$1
  shift
  case $command in
    from | add | copy | commit | bud) set -- --signature-policy "$work/policy.json" "$@" ;;
  esac
  buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$command" "$@"
}

configuration() {
  "$bun" -p "JSON.stringify(require('$work/image.json').Docker.config.$1)"
}

# --- running ---

# What a runtime takes from the image: its environment, its user and the words that it starts.
read_image() {
  local config="require('$work/image.json').Docker.config"
  local port_taken=()
  if (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    port=$("$bun" -p 'const s = Bun.serve({ port: 0, fetch() {} }); s.stop(); s.port')
    port_taken=("KV_PORT=$port")
  fi
  mapfile -t environment < <("$bun" -p "$config.Env.join('\n')")
  environment=(/usr/bin/env -i HOME=/data TERM=xterm "${environment[@]}" "${port_taken[@]}")
  mapfile -t started < <("$bun" -p "[...$config.Entrypoint, ...$config.Cmd].join('\n')")
  user=$("$bun" -p "$config.User")
}

# `docker run -d -p 5000:5000 -v $1:/data IMAGE`, on another port where 5000 is taken.
start() {
  local count
  spawn "$1"
  for count in $(seq 100); do
    if [ "$(http_status)" = 200 ]; then return; fi
    kill -0 "$outer" 2>/dev/null || break
    sleep 0.1
  done
  fail_all "kv serve did not come up after $count looks: $(cat "$work/output")"
}

# Starts what the image starts, with the directory $1 as its volume; it prints to $work/output.
spawn() {
  run_image "$1" "${started[@]}" >"$work/output" 2>&1 </dev/null &
  outer=$!
  container=""
  while kill -0 "$outer" 2>/dev/null; do
    container=$(pgrep --parent "$outer" || true)
    if [ "$(cat "/proc/${container:-none}/comm" 2>/dev/null)" = kv ]; then return; fi
    sleep 0.02
  done
}

# Becomes a container that has the directory $1 as its volume and runs the rest.
run_image() {
  # shellcheck disable=SC2016 # The inner shell expands these.
  exec unshare --fork --pid --mount --kill-child sh -c '
    root=$1 volume=$2 user=$3
    shift 3
    mount --rbind /dev "$root/dev" && mount -t proc proc "$root/proc" &&
      mount --bind "$volume" "$root/data" && exec chroot --userspec="$user" "$root" "$@"
  ' sh "$root" "$1" "$user" "${environment[@]}" "${@:2}"
}

stop() {
  kill "-$1" "$container"
  await_end
}

# Waits for the end of the container, ten seconds at most; `ended` is its exit code.
await_end() {
  local count
  for count in $(seq 100); do
    kill -0 "$outer" 2>/dev/null || break
    if [ "$count" = 100 ]; then kill -KILL "$outer"; fi
    sleep 0.1
  done
  ended=0
  wait "$outer" || ended=$?
  outer=""
}

# `docker exec CONTAINER $@`
in_container() {
  enter_container
  "${entered[@]}" "$@"
}

enter_container() {
  entered=(nsenter --target "$container" --mount --pid --root chroot --userspec="$user" /)
  entered+=("${environment[@]}")
}

# `docker run --entrypoint … IMAGE $@`, for commands that need no server.
in_image() {
  (run_image "$root/data" "$@")
}

http_status() {
  curl --silent --noproxy '*' --output /dev/null --write-out '%{http_code}' \
    "http://127.0.0.1:$port/readyz" || true
}

code_of() {
  local code=0
  "$@" >/dev/null 2>&1 || code=$?
  echo "$code"
}

# --- reporting ---

pass() {
  passed=$((passed + 1))
  echo "ok    $1"
}

fail() {
  failed=$((failed + 1))
  echo "FAIL  $1: expected $(printf %q "$2"), got $(printf %q "$3")"
}

expect() {
  if [ "$3" = "$2" ]; then pass "$1"; else fail "$1" "$2" "$3"; fi
}

expect_line() {
  if grep --quiet --fixed-strings --line-regexp -- "$2" <<<"$3"; then pass "$1"; else fail "$@"; fi
}

expect_part() {
  if [[ $3 == *"$2"* ]]; then pass "$1"; else fail "$@"; fi
}

# Ends the run where nothing further can be checked.
fail_all() {
  echo "FAIL  $1" >&2
  echo "image: $passed passed, $((failed + 1)) failed"
  exit 1
}

cleanup() {
  # The first process of a process namespace takes the others of it along.
  if [ -n "$outer" ]; then kill -KILL "$outer" 2>/dev/null || true; fi
  if [ -n "$root" ]; then build umount --all >/dev/null 2>&1 || true; fi
  rm --recursive --force "$work"
}

trap cleanup EXIT
main
