# Completion for palliumctl in bash. Use it with: source tools/completion/palliumctl.bash
# Flags are read from each command's --help, so this file needs no change when one is added.

_palliumctl() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} cmd="" word
    local -a words=()
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        [[ $word == -* ]] && break
        words+=("$word")
    done
    COMPREPLY=()
    case "${words[0]}" in
    query | load) cmd=${words[0]} ;;
    config) [[ ${words[1]} == check ]] && cmd="config check" ;;
    tsdb) [[ ${words[1]} == verify ]] && cmd="tsdb verify" ;;
    esac
    if [[ -z $cmd ]]; then
        case "${words[0]}" in
        "") mapfile -t COMPREPLY < <(compgen -W "query load config tsdb --help --version" -- "$cur") ;;
        config) mapfile -t COMPREPLY < <(compgen -W "check" -- "$cur") ;;
        tsdb) mapfile -t COMPREPLY < <(compgen -W "verify" -- "$cur") ;;
        esac
        return
    fi
    if [[ $cur == -* ]]; then
        local flags
        # shellcheck disable=SC2086 # two words on purpose
        flags=$("${COMP_WORDS[0]}" $cmd --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$flags --help" -- "$cur")
        return
    fi
    case "$cmd $prev" in
    *" --url") mapfile -t COMPREPLY < <(compgen -W "http://127.0.0.1:9009" -- "$cur") ;;
    "query --format" | "query --output") mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur") ;;
    "config check"*) mapfile -t COMPREPLY < <(compgen -f -X '!*.@(yaml|yml)' -- "$cur"; compgen -d -- "$cur") ;;
    "tsdb verify"*) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    esac
}
complete -o filenames -F _palliumctl palliumctl
