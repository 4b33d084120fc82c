# Completes the command line of apt-ci in fish. The program itself knows what a word may become;
# docs/reference/commands.md describes what it prints.

function __apt_ci_complete
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    set --local word (commandline --current-token --cut-at-cursor)
    # The option before the path, as in --file=PATH.
    set --local option (string match --regex '^--[^=]*=' -- "$word")
    set --local path (string replace --regex '^--[^=]*=' '' -- "$word")
    for line in (command apt-ci __complete -- $words "$word" 2>/dev/null)
        switch $line
            case \tfiles
                for candidate in (__fish_complete_path "$path")
                    echo "$option$candidate"
                end
            case \tdirs
                for candidate in (__fish_complete_directories "$path")
                    echo "$option$candidate"
                end
            case '*'
                echo $line
        end
    end
end

complete --command apt-ci --no-files --keep-order --arguments '(__apt_ci_complete)'
