"""What ``Baseline`` runs in the sandbox, as programs for bash and git."""

from __future__ import annotations

ATTRIBUTES = "* -text -crlf -eol -filter -ident -working-tree-encoding diff=rnj"
CONFIG = """
[core]
    autocrlf = false
    fileMode = true
    symlinks = true
    ignoreCase = false
    quotePath = true
    fsync = none
    hooksPath = /dev/null
    attributesFile = /dev/null
    excludesFile = /dev/null
[gc]
    auto = 0
"""

PREAMBLE = """set -e -o pipefail
export LC_ALL=C GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_OPTIONAL_LOCKS=0
export GIT_AUTHOR_NAME=rnj-agent GIT_AUTHOR_EMAIL=rnj-agent@localhost
export GIT_COMMITTER_NAME=rnj-agent GIT_COMMITTER_EMAIL=rnj-agent@localhost
export GIT_DIR=$STATE/baseline.git GIT_WORK_TREE=$WORK GIT_INDEX_FILE=$STATE/baseline.git/index
"""

CREATE = """
command -v git >/dev/null || { echo 'git is not installed in the sandbox'; exit 1; }
git init -q --template=
printf '%s\\n' "$CONFIG" >> "$GIT_DIR/config"
mkdir -p "$GIT_DIR/info"
printf '%s\\n' "$ATTRIBUTES" > "$GIT_DIR/info/attributes"
if [[ -n ${LISTED-} ]]; then
  (cd "$WORK" && git update-index --add --remove -z --stdin < "$LISTED")
else
  git --work-tree="$WORK" add -A -f -- "$WORK"
fi
commit=$(git commit-tree -m 'The files as they were copied' "$(git write-tree)")
git symbolic-ref HEAD refs/heads/main
git update-ref refs/heads/main "$commit"
printf '%s\\n' "$JUNK" > "$GIT_DIR/info/exclude"
"""

# For the model: a repository of its own with the same one commit, whose objects are borrowed.
MODELS_REPOSITORY = """
commit=$(git rev-parse refs/heads/main)
baseline=$GIT_DIR
cd "$WORK"
export GIT_DIR=.git
unset GIT_WORK_TREE GIT_INDEX_FILE
git init -q --template=
mkdir -p .git/info .git/objects/info
printf '%s\\n' "$baseline/objects" > .git/objects/info/alternates
cp -p "$baseline/index" .git/index
cp "$baseline/info/exclude" .git/info/exclude
git symbolic-ref HEAD refs/heads/main
git update-ref refs/heads/main "$commit"
printf '[user]\\n\\tname = rnj-agent\\n\\temail = rnj-agent@localhost\\n' >> .git/config
"""

# The copied index keeps its times: git tells by them which files it must read again.
SCAN = """
cp -p "$GIT_INDEX_FILE" "$GIT_DIR/index.now"
export GIT_INDEX_FILE=$GIT_DIR/index.now
cd "$WORK"
git add -u
git ls-files -z --others --exclude-standard | { grep -zv '/$' || true; } |
  git update-index --add -z --stdin
git diff --cached $FORM -M "$SINCE" > "$STATE/patch"
"""
MAKE_READABLE = """
chmod -R -f u+rwX -- "$WORK" || true
"""
# Again, file by file: those in another encoding than UTF-8 as if they were binary.
RECODE = """
export GIT_INDEX_FILE=$GIT_DIR/index.now
cd "$WORK"
: > "$STATE/patch"
git diff --cached -z --name-only --no-renames "$SINCE" > "$STATE/names"
while IFS= read -r -d '' name; do
  set -- "$SINCE" -- ":(top,literal)$name" ":(top,exclude,literal)$name/"
  git diff --cached $FORM --no-renames "$@" > "$STATE/one"
  iconv -f UTF-8 -t UTF-8 "$STATE/one" > /dev/null 2>&1 ||
    git -c diff.rnj.binary=true diff --cached $FORM --no-renames "$@" > "$STATE/one"
  cat "$STATE/one" >> "$STATE/patch"
done < "$STATE/names"
"""
FORM = (
    "--binary --full-index --no-ext-diff --no-textconv --no-color --no-relative "
    "--src-prefix=a/ --dst-prefix=b/"
)

DELIVERED = """
tree=$(GIT_INDEX_FILE=$GIT_DIR/index.now git write-tree)
git update-ref refs/heads/delivered "$(git commit-tree -m 'What was delivered' "$tree")"
"""

SETTLE = """
cd "$WORK"
git diff-files -z --name-only > "$STATE/changed"
git checkout-index -f -z --stdin < "$STATE/changed"
git ls-files -z --others --exclude-standard > "$STATE/made"
"""

# What is in the way goes first. Folders that git does not know hold what is left out, or nothing.
PUT_BACK = """
cd "$WORK"
git ls-files -z --others --exclude-standard | xargs -0 -r rm -rf --
git checkout-index -f -a
git ls-files -z --others --directory --exclude-standard > "$STATE/folders"
while IFS= read -r -d '' folder; do
  [[ -L ${folder%/} ]] || find "./$folder" -depth -type d -empty -delete
done < "$STATE/folders"
rm -rf .git
"""

KEEP = """
GIT_INDEX_FILE=$GIT_DIR/index.now git write-tree > "$STATE/tree"
"""

BRING_BACK = """
cd "$WORK"
export GIT_INDEX_FILE=$GIT_DIR/index.kept
git read-tree "$TREE"
git diff-tree -z -r --no-renames --name-only --diff-filter=D main "$TREE" | xargs -0 -r rm -f --
git diff-tree -z -r --no-renames --name-only --diff-filter=d main "$TREE" |
  git checkout-index -f -z --stdin
"""

SHOW = """
git cat-file blob "main:$NAME" > "$STATE/shown"
"""

EXCLUDE = """
cat "$STATE/exclude" >> "$GIT_DIR/info/exclude"
[ ! -d "$WORK/.git/info" ] || cat "$STATE/exclude" >> "$WORK/.git/info/exclude"
"""

PRISTINE = """
rm -rf "$PLACE"
mkdir "$PLACE"
cp -a "$WORK/." "$PLACE/"
cd "$PLACE"
cp -p "$GIT_INDEX_FILE" "$GIT_DIR/index.pristine"
export GIT_INDEX_FILE=$GIT_DIR/index.pristine GIT_WORK_TREE=$PLACE
"""
