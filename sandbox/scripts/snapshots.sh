# Keep and bring back states of the working copy. Sourced by a line that calls one function of it.
#
# $STATE  our folder; the states lie in $STATE/snapshots.git
# $WORK   the working copy
#
# A state is a git tree of three entries, so it is named by its content, and what two states share
# is stored once:
#   files  regular files and symbolic links
#   facts  what git does not know, one NUL-ended record each, sorted:
#          "d PATH MODE" a folder; "f PATH MODE" a file that is neither 644 nor 755;
#          "b PATH SIZE MTIME" a file too large to be kept; "o PATH TYPE" no file at all
#   gits   a tar archive of every .git in the copy, which no git tree can hold; or nothing
# Nothing of the copy's own git, attributes or configuration has a say.

set -e -o pipefail
umask 022
export LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0
export GIT_DIR=$STATE/snapshots.git GIT_WORK_TREE=$WORK
t=$GIT_DIR/scratch

# $1: a git directory of the same copy, whose objects and index save reading every file; or nothing
create() {
  command -v git >/dev/null || { echo 'git is not installed in the sandbox'; return 1; }
  git init -q --template=
  local setting
  for setting in core.{autocrlf,ignoreCase,protectHFS,protectNTFS}=false core.fileMode=true \
    core.symlinks=true core.{hooksPath,attributesFile,excludesFile}=/dev/null core.fsync=none \
    core.quotePath=true gc.auto=0; do
    git config "${setting%%=*}" "${setting#*=}"
  done
  mkdir -p "$GIT_DIR/info" "$GIT_DIR/objects/info" "$t"
  echo '* -text -crlf -eol -filter -ident -working-tree-encoding' >"$GIT_DIR/info/attributes"
  if [[ -n $1 ]]; then
    echo "$1/objects" >"$GIT_DIR/objects/info/alternates"
    cp -p "$1/index" "$GIT_DIR/index"
  fi
}

# Let us read, and with "write" change, what the copy's own modes forbid us; as it was: $t/opened.
open_up() {
  local wanted=500 change=u+rx line path pass
  [[ $1 != write ]] || { wanted=700 change=u+rwx; }
  : >"$t/opened"
  for pass in {1..32}; do # a closed folder hides the closed ones in it
    find . -mindepth 1 -name .git -prune -o \
      \( -type d ! -perm -$wanted -o -type f ! -perm -400 \) -printf '%y %P %m\0' \
      >"$t/closed" 2>/dev/null || true
    [[ -s $t/closed ]] || return 0
    cat "$t/closed" >>"$t/opened"
    while IFS= read -r -d '' line; do
      path=${line:2}
      if [[ $line == d* ]]; then chmod "$change" -- "${path% *}"; else chmod u+r -- "${path% *}"; fi
    done <"$t/closed"
  done
  echo 'folders that cannot be read'
  return 1
}

close_again() {
  local line path
  sort -zr "$t/opened" | while IFS= read -r -d '' line; do # inner folders first
    path=${line:2}
    chmod "${line##* }" -- "${path% *}"
  done
}

# What is there: $t/files, $t/gits, and the rest as $t/facts. $1: bytes of the largest file kept.
list() {
  : | tee "$t/files" "$t/gits" "$t/facts"
  find . -mindepth 1 -name .git -prune -fprint0 "$t/gits" \
    -o -type d -fprintf "$t/facts" 'd %P %m\0' \
    -o -type l -fprintf "$t/files" '%P\0' \
    -o ! -type f -fprintf "$t/facts" 'o %P %y\0' \
    -o -size "+$1c" -fprintf "$t/facts" 'b %P %s %T@\0' \
    -o -fprintf "$t/files" '%P\0' ! -perm 644 ! -perm 755 -fprintf "$t/facts" 'f %P %m\0'
  sort -z -o "$t/facts" "$t/facts"
}

# The facts and modes as they were before open_up.
true_facts() {
  [[ -s $t/opened ]] || return 0
  local line path
  while IFS= read -r -d '' line; do
    path=${line:2}
    printf '%s %s\0' "${line% *}" "$(stat -c %a -- "${path% *}")"
  done <"$t/opened" | sort -z >"$t/opened.now"
  comm -z -23 "$t/facts" "$t/opened.now" | sort -z -o "$t/facts" - "$t/opened"
}

# Print the state's name on a line, and if it is not $2, what changed since then.
# $1: bytes of the largest file kept; $2: the state before, or nothing; $3: bytes of patch shown;
# $4: bytes of .git that are kept; $5: at most so many files
take() {
  cd "$WORK"
  open_up
  list "$1"
  true_facts
  local count
  count=$(tr -cd '\0' <"$t/files" | wc -c)
  ((count <= $5)) || { echo "$count files are more than the $5 that are kept"; return 1; }
  sort -z -o "$t/files" "$t/files"
  git ls-files -z | sort -z | comm -z -23 - "$t/files" | git update-index -z --force-remove --stdin
  git update-index -z --add --stdin <"$t/files"
  local files facts gits='' state
  files=$(git write-tree)
  gits=$(keep_gits "$4")
  close_again
  facts=$(git hash-object -w "$t/facts")
  state=$({
    printf '100644 blob %s\tfacts\n040000 tree %s\tfiles\n' "$facts" "$files"
    [[ -z $gits ]] || printf '100644 blob %s\tgits\n' "$gits"
  } | git mktree)
  echo "$state"
  [[ $state == "$2" ]] || tell_change "$state" "$2" "$3"
}

keep_gits() {
  [[ -s $t/gits ]] || return 0
  local size
  size=$(du -scb --files0-from="$t/gits" 2>/dev/null | tail -n 1 | cut -f 1)
  ((size <= $1)) || return 0
  tar --create --file="$t/gits.tar" --null --files-from=<(sort -z "$t/gits") --sort=name \
    --mtime=@0 --owner=0 --group=0 --numeric-owner --format=gnu
  git hash-object -w "$t/gits.tar"
  rm -f "$t/gits.tar"
}

# One line: files changed, files too large, whether every .git is kept. Then the patch's beginning.
tell_change() {
  local before=${2:+$2:files} junk=(
    '**/__pycache__/**' '**/*.py[co]' '**/.pytest_cache/**' '**/.hypothesis/**' '**/.mypy_cache/**'
    '**/.ruff_cache/**' '**/.venv/**' '**/node_modules/**' '**/*.swp'
  )
  local shown=(-- . "${junk[@]/#/:(top,exclude,glob)}") num_files=0
  if [[ -n $before ]]; then
    num_files=$(git diff-tree -r -z --name-only "$before" "$1:files" "${shown[@]}" |
      tr -cd '\0' | wc -c)
  fi
  printf '%d %d %d\n' "$num_files" "$(grep -zc '^b' "$t/facts" || true)" \
    "$([[ ! -s $t/gits ]] || git rev-parse -q --verify "$1:gits" >/dev/null; echo $?)"
  [[ $num_files == 0 ]] ||
    git diff-tree -p -M --no-ext-diff --no-textconv --src-prefix=a/ --dst-prefix=b/ \
      "$before" "$1:files" "${shown[@]}" | { head -c "$3"; cat >/dev/null; }
}

# Bring the copy to state $1 from state $2, which was just taken. $3: as in take.
# Prints, NUL-ended, the large files that could not be brought back.
restore() {
  cd "$WORK"
  open_up write
  list "$3"
  git cat-file blob "$1:facts" >"$t/wanted"
  local line path gits_differ=
  [[ $(git rev-parse -q --verify "$1:gits") == "$(git rev-parse -q --verify "$2:gits")" ]] ||
    gits_differ=1
  # A .git that was too large to be kept stays.
  if [[ $gits_differ ]] && git rev-parse -q --verify "$2:gits" >/dev/null; then
    xargs -0r rm -rf -- <"$t/gits"
  fi
  comm -z -23 <(odd "$t/facts") <(odd "$t/wanted") | xargs -0r rm -f --
  git read-tree --reset -u "$1:files"
  comm -z -23 <(folders "$t/facts") <(folders "$t/wanted") | sort -zr |
    xargs -0r rmdir --ignore-fail-on-non-empty -- 2>/dev/null || true
  folders "$t/wanted" | xargs -0r mkdir -p --
  if [[ $gits_differ ]] && git rev-parse -q --verify "$1:gits" >/dev/null; then
    git cat-file blob "$1:gits" | tar --extract --same-permissions --no-same-owner --file=-
  fi
  list "$3"
  comm -z -23 "$t/facts" "$t/wanted" | grep -z '^f' | while IFS= read -r -d '' line; do
    path=${line:2}
    path=${path% *}
    if [[ -x $path ]]; then chmod 755 -- "$path"; else chmod 644 -- "$path"; fi
  done || true
  comm -z -13 "$t/facts" "$t/wanted" | grep -z '^[df]' | sort -zr |
    while IFS= read -r -d '' line; do
      path=${line:2}
      chmod "${line##* }" -- "${path% *}"
    done || true
  comm -z -13 "$t/facts" "$t/wanted" | { grep -z '^b' || true; }
}

odd() {
  { grep -z '^[bo]' "$1" || true; } | sed -z -E 's/^b (.*) [^ ]+ [^ ]+$/\1/; s/^o (.*) .$/\1/' |
    sort -z
}

folders() {
  { grep -z '^d' "$1" || true; } | sed -z -E 's/^d (.*) [0-7]+$/\1/' | sort -z
}

# Everything of state $1 that state $2 (or nothing) lacks, as a pack in $t/pack, unless it is more
# than $3 bytes. Prints its size.
export_pack() {
  local what size
  what=$(printf '%s\n' "$1" ${2:+"^$2"})
  size=$(git rev-list --objects --disk-usage --stdin <<<"$what")
  if ((size <= $3)); then
    git pack-objects -q --revs --window=0 --stdout <<<"$what" >"$t/pack"
    size=$(stat -c %s "$t/pack")
  fi
  echo "$size"
}

# Take in the packs in $t/packs, in the order of their names.
import_packs() {
  local pack
  for pack in "$t"/packs/*; do
    git unpack-objects -q <"$pack"
  done
  rm -rf "$t/packs"
}
