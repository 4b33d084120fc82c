# Sets up apt in the testbed for a request, and reports what apt has afterwards. Runs as root after the operator's setup
# commands and before the upgrade, at each reset of the testbed. POSIX sh; awk may be mawk.
#
# Set above this line: nonce, setup (1, or 0 to report only), release, pocket, take (triggers, all or nothing), triggers
# (a line "SRC VERSION" for each), package, ppas (a line "URL" for each) and ppa_folder (with the copied keys and sources).
export LC_ALL=C
say() { printf 'apt-ci-evidence %s %s\n' "$nonce" "$*"; }
fail() { say "error $*"; say end; exit 1; }
without_login() { sed 's,//[^/@ ]*@,//,g'; }

say begin
if ! command -v apt-get >/dev/null 2>&1 || ! command -v dpkg-query >/dev/null 2>&1; then
    say absent
    say end
    exit 0
fi
apt_dir=/etc/apt
[ "$setup" = 0 ] || mkdir -p "$apt_dir/sources.list.d" "$apt_dir/preferences.d" "$apt_dir/trusted.gpg.d"
apt_work=$(mktemp -d "${TMPDIR:-/tmp}/apt-ci.XXXXXX")
trap 'rm -rf "$apt_work"' EXIT

# Prints the sources of suite $1 with suite $2 in its place; $3 is list or sources, their form.
derive() {
    if [ "$3" = list ]; then
        set -- "$1" "$2" "$apt_dir/sources.list" "$apt_dir"/sources.list.d/*.list
    else
        set -- "$1" "$2" "$apt_dir"/sources.list.d/*.sources
    fi
    base=$1 new=$2
    shift 2
    for file; do
        [ -r "$file" ] || continue
        echo
        cat "$file"
        echo
    done | case "$1" in
        *.sources) derive_stanzas ;;
        *) derive_lines ;;
    esac
}

derive_lines() {
    awk -v base="$base" -v new="$new" '
        $1 == "deb" || $1 == "deb-src" {
            line = $0
            sub(/#.*$/, "", line)
            sub(/^[ \t]*deb(-src)?[ \t]+/, "", line)
            options = ""
            if (line ~ /^\[/) {
                end = index(line, "]")
                options = substr(line, 1, end) " "
                line = substr(line, end + 1)
            }
            count = split(line, word)
            if (word[2] != base || count < 3) next
            rest = ""
            for (i = 3; i <= count; i++) rest = rest " " word[i]
            line = options word[1] " " new rest
            if (line in seen) next
            seen[line] = 1
            print "deb " line
            print "deb-src " line
        }'
}

derive_stanzas() {
    awk -v base="$base" -v new="$new" '
        function finish() {
            if (matches && !disabled && text != "" && !(text in seen)) {
                seen[text] = 1
                print "Types: deb deb-src\nSuites: " new "\n" text
            }
            matches = disabled = 0
            text = field = ""
        }
        function read_value(value,   count, word, i) {
            count = split(value, word)
            for (i = 1; i <= count; i++) {
                if (field == "suites" && word[i] == base) matches = 1
                if (field == "enabled" && tolower(word[i]) ~ /^(no|false|without|off|disable|0)$/) disabled = 1
            }
        }
        function keep() {
            if (field != "suites" && field != "enabled" && field != "types") text = text $0 "\n"
        }
        { sub(/\r$/, "") }
        /^#/ { next }
        /^[ \t]*$/ { finish(); next }
        /^[ \t]/ { read_value($0); keep(); next }
        {
            field = tolower($0)
            sub(/[ \t]*:.*$/, "", field)
            read_value(substr($0, index($0, ":") + 1))
            keep()
        }
        END { finish() }'
}

# Prints the suites of all enabled sources; those that may be a release itself come first.
suites() {
    for file in "$apt_dir/sources.list" "$apt_dir"/sources.list.d/*.list; do
        [ -r "$file" ] && sed -n 's/^[ \t]*deb[ \t]*\(\[[^]]*\]\)\{0,1\}[ \t]*[^ \t]*[ \t][ \t]*\([^ \t]*\).*/\2/p' "$file"
    done
    for file in "$apt_dir"/sources.list.d/*.sources; do
        [ -r "$file" ] && sed -n 's/^[Ss]uites:[ \t]*//p' "$file" | tr ' \t' '\n\n'
    done
    return 0
}

derive_pocket() {
    rm -f "$apt_dir/sources.list.d/apt-ci-pocket.list" "$apt_dir/sources.list.d/apt-ci-pocket.sources"
    present=$(derive "$pocket" "$pocket" list; derive "$pocket" "$pocket" sources)
    [ -z "$present" ] || return 0
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null | tr -d '"')
    first=$(suites | grep -v -e - -e / -e '^$' | head -n 1)
    for base_suite in "$release" "$codename" "$first"; do
        [ -n "$base_suite" ] || continue
        derive "$base_suite" "$pocket" list >"$apt_work/pocket.list"
        derive "$base_suite" "$pocket" sources >"$apt_work/pocket.sources"
        [ -s "$apt_work/pocket.list" ] || [ -s "$apt_work/pocket.sources" ] || continue
        for form in list sources; do
            [ ! -s "$apt_work/pocket.$form" ] ||
                install -m 644 "$apt_work/pocket.$form" "$apt_dir/sources.list.d/apt-ci-pocket.$form"
        done
        return 0
    done
    fail "no source of apt in the testbed has the suite $release: the pocket $pocket cannot be derived from it"
}

update() {
    status=0
    apt-get update -o APT::Update::Error-Mode=any -o Acquire::Retries=3 >"$apt_work/update" 2>&1 || status=$?
    without_login <"$apt_work/update"
    [ "$status" = 0 ] || return 1
    # apt before 2.1.2 ends with 0 in spite of errors.
    ! grep -q '^W: Some index files failed to download' "$apt_work/update"
}

# Prints the entries of the indexes for the sources in $apt_work/sources: KIND SRC VERSION BINARY VERSION ARCH SUITE URL.
read_indexes() {
    end_of_index='the end of the index'
    format='$(CREATED_BY)|$(REPO_URI)|$(RELEASE)|$(FILENAME)'
    apt-get indextargets --format "$format" >"$apt_work/targets" 2>/dev/null || return 0
    while IFS='|' read -r kind url suite file; do
        case "$kind" in Packages | Sources) ;; *) continue ;; esac
        url=$(printf '%s\n' "$url" | without_login)
        # An index counts as read only after its end was reached.
        { /usr/lib/apt/apt-helper cat-file "$file" 2>/dev/null && printf '\n%s\n' "$end_of_index"; } |
            awk -v kind="$kind" -v suite="$suite" -v url="$url" -v end="$end_of_index" -v indexes="$apt_work/indexes" '
            function finish() {
                if (package != "" && version != "") {
                    if (source == "") source = package
                    if (source_version == "") source_version = version
                    if (source in wanted)
                        print kind, source, source_version, package, version, architecture == "" ? "-" : architecture, suite, url
                }
                package = version = source = source_version = architecture = ""
            }
            FILENAME != "-" { wanted[$1] = 1; next }
            $0 == end { print kind, suite, url >>indexes }
            /^Package: / { package = $2 }
            /^Version: / { version = $2 }
            /^Source: / { source = $2; source_version = $3; gsub(/[()]/, "", source_version) }
            /^Architecture: / { architecture = $2 }
            /^$/ { finish() }
            END { finish() }' "$apt_work/sources" -
    done <"$apt_work/targets"
}

write_pins() {
    {
        [ "$take" = all ] && others=500 || others=100
        printf 'Package: *\nPin: release a=%s\nPin-Priority: %s\n\n' "$pocket" "$others"
        printf 'Package: *\nPin: release n=%s\nPin-Priority: %s\n\n' "$pocket" "$others"
        if [ "$take" = triggers ]; then
            names=$(awk -v pocket="$pocket" '
                FNR == NR { wanted[$1] = 1; next }
                $1 == "Packages" && $7 == pocket && $2 in wanted && !($4 in seen) { seen[$4] = 1; print $4 }
            ' "$apt_work/triggers" "$apt_work/versions" | tr '\n' ' ')
            for key in ${names:+a n}; do
                printf 'Package: %s\nPin: release %s=%s\nPin-Priority: 995\n\n' "$names" "$key" "$pocket"
            done
        fi
    } >"$apt_work/pins"
    install -m 644 "$apt_work/pins" "$apt_dir/preferences.d/apt-ci-pocket.pref"
}

# Reports the lines that it reads, at most $1 of them, and whether the list was cut: a cut list proves nothing.
say_lines() {
    awk -v most="$1" 'NR <= most + 0 { print; next } { print "cut after " most " lines"; exit }' |
        while read -r line; do say "$line"; done
}

report() {
    native=$(dpkg --print-architecture)
    say "architecture $native"
    sort -u "$apt_work/indexes" | sed 's/^/index /' | say_lines 200
    # The number of binaries of each source in each suite, and whether the suite has the source itself.
    awk '
        { key = $2 " " $3 " " $7 " " $8; seen[key] = 1 }
        $1 == "Packages" && !((key, $4, $5, $6) in known) { known[key, $4, $5, $6] = 1; binaries[key]++ }
        $1 == "Sources" { sources[key] = 1 }
        END { for (key in seen) print "version", key, binaries[key] + 0, sources[key] + 0 }
    ' "$apt_work/versions" | sort | say_lines 5000
    awk -v native="$native" '$1 == "Packages" {
        print $6 == native || $6 == "all" ? $4 : $4 ":" $6
    }' "$apt_work/versions" | sort -u >"$apt_work/names"
    : >"$apt_work/policy"
    [ ! -s "$apt_work/names" ] || xargs apt-cache policy <"$apt_work/names" >"$apt_work/policy" 2>/dev/null || :
    dpkg-query -W -f '${source:Package} ${source:Version} ${Package} ${Version} ${Status}\n' 2>/dev/null |
        awk 'NF > 4 && $NF == "installed"' >"$apt_work/installed" || :
    # The candidates of each trigger: of the binaries that its version ships, or else of all binaries of the source.
    awk -v native="$native" '
        FILENAME ~ /triggers$/ { asked[$1] = asked[$1] " " $2 " "; next }
        FILENAME ~ /versions$/ {
            if ($1 != "Packages") next
            name = $6 == native || $6 == "all" ? $4 : $4 ":" $6
            of[name, $5] = $2 " " $3
            sources[name] = sources[name] " " $2 " "
            binary[name] = $4
            if (index(asked[$2], " " $3 " ") && !((name, $5, $2) in shipped)) {
                shipped[name, $5, $2] = 1
                ships[$2] = 1
                ship[name, $2] = 1
                print "ships", $2, $3, $4, $5
            }
            next
        }
        FILENAME ~ /policy$/ && /^[^ ].*:$/ { name = substr($0, 1, length($0) - 1); next }
        FILENAME ~ /policy$/ && $1 == "Candidate:" && $2 != "(none)" && name in sources {
            total = split(sources[name], list)
            done = ""
            for (i = 1; i <= total; i++) {
                source = list[i]
                if (index(done, " " source " ") || (ships[source] && !ship[name, source])) continue
                done = done " " source " "
                split(of[name, $2], from)
                version = from[1] == source ? from[2] : "-"
                key = source " " version
                if (!candidates[key]++) example[key] = binary[name] " " $2
            }
            next
        }
        FILENAME ~ /installed$/ && ($1 in asked) { print "installed", $1, $2, $3, $4 }
        END { for (key in candidates) print "candidate", key, candidates[key], example[key] }
    ' "$apt_work/triggers" "$apt_work/versions" "$apt_work/policy" "$apt_work/installed" |
        sort -u | say_lines 10000
}

printf '%s' "$triggers" >"$apt_work/triggers"
{ printf '%s' "$triggers"; echo "$package"; } >"$apt_work/sources"
if [ "$setup" = 1 ] && [ "$(id -u)" != 0 ]; then
    [ "$take" = nothing ] && [ -z "$ppas" ] || fail "setup commands do not run as root in this testbed: no package sources can be added"
    setup=0
fi
if [ "$setup" = 1 ]; then
    [ "$take" = nothing ] || derive_pocket
    if [ -n "$ppas" ]; then
        install -m 644 -t "$apt_dir/trusted.gpg.d" "$ppa_folder"/*.gpg
        install -m 644 -t "$apt_dir/sources.list.d" "$ppa_folder"/*.list
        rm -r "$ppa_folder"
    fi
    # A requested test of an upload does not wait for Ubuntu's phasing.
    echo 'APT::Get::Always-Include-Phased-Updates "true";' >"$apt_work/phased"
    install -D -m 644 "$apt_work/phased" "$apt_dir/apt.conf.d/90apt-ci"
    update ||
        fail "apt-get update: $(grep '^[EW]: ' "$apt_work/update" | without_login | head -n 1)"
fi
: >"$apt_work/indexes"
read_indexes >"$apt_work/versions"
[ "$setup" = 0 ] || [ -z "$pocket" ] || write_pins
report
say end
