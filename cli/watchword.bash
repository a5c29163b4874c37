# Completion of `watchword` for bash. Options come from each command's own help, so none is forgotten.

_watchword() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local words=
    compopt +o default
    if ((COMP_CWORD == 1)); then
        words="$(watchword --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p') --help --version"
    elif [[ $word == -* ]]; then
        words=$(watchword "$command" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')
    else
        case $command:$before in
        *:--task) words="detect pose" ;;
        *:--model | bench:bench | trace:trace | models:verify | models:list) words=$(watchword models | cut -d' ' -f1) ;;
        complete:complete | tokenize:tokenize)
            compopt -o default
            words=$(watchword models | sed -n 's/^\([^ ]*\)  *llama .*/\1/p')
            ;;
        models:models) words="fetch list verify" ;;
        models:fetch) words=$(watchword models fetch --list | cut -d' ' -f1) ;;
        watch:*) words="detection pose status" ;;
        help:help) words=$(watchword --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p') ;;
        *) compopt -o default ;;
        esac
        [[ $command:$before == bench:bench ]] && words+=" kernels"
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _watchword watchword
