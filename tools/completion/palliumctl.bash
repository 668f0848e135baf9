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
    promql) [[ ${words[1]} == test || ${words[1]} == fmt ]] && cmd="promql ${words[1]}" ;;
    rules) [[ ${words[1]} == check || ${words[1]} == test ]] && cmd="rules ${words[1]}" ;;
    esac
    if [[ -z $cmd ]]; then
        case "${words[0]}" in
        "") mapfile -t COMPREPLY < <(compgen -W "query load promql rules config tsdb --help --version" -- "$cur") ;;
        config) mapfile -t COMPREPLY < <(compgen -W "check" -- "$cur") ;;
        tsdb) mapfile -t COMPREPLY < <(compgen -W "verify" -- "$cur") ;;
        promql) mapfile -t COMPREPLY < <(compgen -W "test fmt" -- "$cur") ;;
        rules) mapfile -t COMPREPLY < <(compgen -W "check test" -- "$cur") ;;
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
    "query --explain") mapfile -t COMPREPLY < <(compgen -W "plan analyze" -- "$cur") ;;
    "query --format" | "query --output") mapfile -t COMPREPLY < <(compgen -W "table json" -- "$cur") ;;
    "promql test --apart") mapfile -t COMPREPLY < <(compgen -W "tenant time" -- "$cur") ;;
    "rules check --lint") mapfile -t COMPREPLY < <(compgen -W "duplicate-rules all none" -- "$cur") ;;
    "promql test"*) mapfile -t COMPREPLY < <(compgen -f -X '!*.test' -- "$cur"; compgen -d -- "$cur") ;;
    "promql fmt"*) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
    "config check"* | rules*) mapfile -t COMPREPLY < <(compgen -f -X '!*.@(yaml|yml)' -- "$cur"; compgen -d -- "$cur") ;;
    "tsdb verify"*) mapfile -t COMPREPLY < <(compgen -d -- "$cur") ;;
    esac
}
complete -o filenames -F _palliumctl palliumctl
