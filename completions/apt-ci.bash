# Completes the command line of apt-ci in bash. The program itself knows what a word may become;
# docs/reference/commands.md describes what it prints.

# Sets `word` to what bash would make of it: without simple outer quotes, and without backslashes. It
# may not be evaluated, because it may contain commands.
_apt_ci_unquote() {
    case $word in
        \'*\')
            [[ ${word:1:-1} != *\'* ]] && word=${word:1:-1}
            return
            ;;
        \"*\") [[ ${word:1:-1} != *\"* ]] && word=${word:1:-1} ;;
    esac
    local rest=$word
    word=''
    while [[ $rest == *\\* ]]; do
        word+=${rest%%\\*}
        rest=${rest#*\\}
        word+=${rest:0:1}
        rest=${rest:1}
    done
    word+=$rest
}

_apt_ci() {
    local -a words=() lines=()
    local word line is_glued='' i
    COMPREPLY=()
    # Readline also breaks words at = and :, where apt-ci does not.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)) && [[ ! $word =~ ^[=:]+$ ]]; then
            word=$2
        elif ((i < COMP_CWORD)); then
            _apt_ci_unquote
        fi
        if ((i > 0)) && [[ $is_glued || $word =~ ^[=:]+$ ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        is_glued=''
        [[ $word =~ ^[=:]+$ ]] && is_glued=yes
    done
    word=${words[${#words[@]} - 1]}
    # Readline keeps what comes before its own last word.
    local kept=${word%"$2"}
    mapfile -t lines < <(command apt-ci __complete -- "${words[@]}" 2>/dev/null)
    for line in "${lines[@]}"; do
        case $line in
            $'\tfiles') compopt -o default ;;
            $'\tdirs') compopt -o dirnames ;;
            *)
                line=${line%%$'\t'*}
                COMPREPLY+=("${line#"$kept"}")
                ;;
        esac
    done
}

complete -o nosort -F _apt_ci apt-ci
