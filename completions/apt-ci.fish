# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_apt_ci_global_optspecs
    string join \n site= queue= store= json q/quiet v/verbose color= h/help V/version
end

function __fish_apt_ci_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_apt_ci_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_apt_ci_using_subcommand
    set -l cmd (__fish_apt_ci_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c apt-ci -n "__fish_apt_ci_needs_command" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s V -l version -d 'Print version'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "run" -d 'Request tests of packages'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "worker" -d 'Run queued tests, or control the workers on this host'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "queues" -d 'Show queues and their requests; remove or move requests'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "running" -d 'Show running tests, or follow the log of one'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "cancel" -d 'Cancel running tests on any host, or remove requests from their queues'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "retry" -d 'Re-run tests, using the requests of earlier runs'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "retry-regressions" -d 'Re-run the tests that block packages from migrating'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "results" -d 'List results, newest first; explain, compare and count them'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "index" -d 'Build a local index of the store\'s results for fast queries'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "log" -d 'Show the log of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "artifacts" -d 'List or unpack the artifacts of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "github" -d 'Test the pull requests of GitHub projects, and report the results there'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "gitlab" -d 'Test the merge requests of GitLab projects, and report the results there'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "serve" -d 'Run the web service for test requests and for GitHub and GitLab webhooks'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "init" -d 'Create a site: a git repository with a commented configuration'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "site" -d 'Manage trust in sites found in or above the working directory'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "config" -d 'Show each setting and its origin; passwords are hidden'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "credentials" -d 'Manage the site\'s secrets: passwords, tokens and hook secrets'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "completions" -d 'Print shell completions'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s s -l release -l series -d 'Release to test on' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s a -l arch -l architecture -d 'Architecture to test on (can be repeated) [default: all configured for the release]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l trigger -d 'Package version that triggers the test (repeat if several must migrate together)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l ppa -d 'PPA to take packages from (can be repeated); PPAs with a token require --batch' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l test-git -d 'Git branch to take the test from; packages come from the archive' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l build-git -d 'Git branch to build and test' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l test-bzr -d 'Bazaar branch to take the test from' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l swiftuser -d 'Make the run private: only this user of the store may read its result' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l readable-by -d 'Another user who may read a private result on web pages (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l context -d 'Queue context: distribution, huge, ppa or upstream [default: ppa with a PPA, upstream with a branch, else distribution]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l env -d 'Environment variable for the test (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l requester -d 'Name recorded as the requester' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l watch -d 'Submit nothing; wait for these existing requests, as with --wait' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l batch -d 'Read requests from FILE (`-` for standard input), one QUEUE:SRC {json} per line' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l baseline -d 'Run a baseline: test the release as it is (trigger migration-reference/0)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l bulk -d 'Use the low-priority queue (same as --context huge)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l all-proposed -d 'Take all packages from the proposed pocket, not only the triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l force -d 'Submit even if an identical request is already queued or running'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l wait -d 'Wait for the tests and report the outcome; Ctrl-C stops waiting, not the tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l check -d 'Refuse triggers that are not published in the release, according to Launchpad'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s n -l dry-run -d 'Print the requests in --batch format instead of queueing them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s c -l config -d 'Testbed configuration [default: the site\'s worker.conf; without it, tests run on this host with `null`]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l variable -d 'Define $KEY for worker.conf (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s a -l arch -l architecture -d 'Architecture to serve (can be repeated) [default: worker.conf\'s, else this host\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l slots -d 'Number of tests to run in parallel [default: 1]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l name -d 'Worker name in results and messages [default: this host\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l drain -d 'Exit when the queues are empty'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l once -d 'Exit after one request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "explain" -d 'Show the command line, time limits and container of a test, and where they come from'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "check" -d 'Check worker.conf, the override files, this host\'s autopkgtest, the queue and the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "status" -d 'Show what the workers on this host are doing'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "stop" -d 'Stop the workers on this host after their running tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "reload" -d 'Make the workers on this host re-read worker.conf and the override files'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "cancel" -d 'Cancel running tests on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s s -l release -l series -d 'Release to test on [default: the only release served]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s a -l arch -l architecture -d 'Architecture to test on [default: worker.conf\'s first, else this host\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l trigger -d 'Package version that triggers the test (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l ppa -d 'PPA to take packages from (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l env -d 'Environment variable for the test (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l test-git -d 'Git branch to take the test from; packages come from the archive' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l build-git -d 'Git branch to build and test' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l test-bzr -d 'Bazaar branch to take the test from; packages come from the archive' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s c -l config -d 'Testbed configuration [default: the site\'s worker.conf; without it, tests run on this host with `null`]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l variable -d 'Define $KEY for worker.conf (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l all-proposed -d 'Take all packages from the proposed pocket, not only the triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s c -l config -d 'Testbed configuration [default: the site\'s worker.conf; without it, tests run on this host with `null`]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l variable -d 'Define $KEY for worker.conf (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l pid -d 'Only the worker with this process id (can be repeated) [default: all workers of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l pid -d 'Only the worker with this process id (can be repeated) [default: all workers of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l restart -d 'Make them exit with 10, as after SIGHUP, so that systemd restarts them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l wait -d 'Wait until the workers have exited'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l pid -d 'Only the worker with this process id (can be repeated) [default: all workers of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l pid -d 'Only the worker with this process id (can be repeated) [default: all workers of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l requeue -d 'Put the request back into its queue instead of the dead letters'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l all -d 'Stop all tests and the workers; requests return to their queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l wait -d 'Wait until the tests, or with --all the workers, have stopped'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Show the command line, time limits and container of a test, and where they come from'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check worker.conf, the override files, this host\'s autopkgtest, the queue and the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show what the workers on this host are doing'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Stop the workers on this host after their running tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "reload" -d 'Make the workers on this host re-read worker.conf and the override files'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "cancel" -d 'Cancel running tests on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l limit -d 'Maximum number of requests to show in each state' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s w -l watch -d 'Refresh every two seconds until Ctrl-C'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l estimate -d 'Estimate when each queue will be empty, from past durations and available slots (reads the store)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l all -d 'On a terminal, also show empty queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "show" -d 'Show the requests of a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "remove" -d 'Remove queued requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "purge" -d 'Remove all queued requests of the named queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "dedupe" -d 'Remove requests that duplicate an earlier request in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "supersede" -d 'Remove requests superseded by a newer request in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "move" -d 'Move queued requests to the end of another queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "dead" -d 'Show dead letters and their reasons, requeue them, or remove them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l limit -d 'Maximum number of requests to show in each state' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s c -l match -d 'Only requests matching KEY=PATTERN, e.g. `trigger=glibc/*`; with several, all must match' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l uuid -d 'Only the request with this id (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s c -l match -d 'Only requests matching KEY=PATTERN, e.g. `trigger=glibc/*`; with several, all must match' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l uuid -d 'Only the request with this id (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -a "requeue" -d 'Requeue dead letters that are valid requests; their attempt count is reset'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -a "drop" -d 'Remove dead letters after saving them to a file'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the requests of a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove queued requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "purge" -d 'Remove all queued requests of the named queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "dedupe" -d 'Remove requests that duplicate an earlier request in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "supersede" -d 'Remove requests superseded by a newer request in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "move" -d 'Move queued requests to the end of another queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "dead" -d 'Show dead letters and their reasons, requeue them, or remove them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l listen -d 'Wait SECONDS seconds for announcements of other programs\' workers' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s f -l follow -d 'Follow the test\'s log until the test ends'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s c -l match -d 'Cancel requests matching KEY=PATTERN, e.g. `trigger=glibc/*`; with several, all must match' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s y -l yes -d 'Do not ask for confirmation (with --match)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l requeue -d 'Put requests of running tests back into their queues; leave queued ones there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l outcome -d 'Retry all runs with this outcome (comma-separated for several)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l since -d 'Retry all runs published since TIME, such as `2d`, `12h` or `2026-11-23`' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l package -d 'Only this package (with --outcome or --since)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l requester -d 'Name recorded as the requester' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s n -l dry-run -d 'Print the requests in `run --batch` format instead of queueing them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l force -d 'Submit even if an identical request is already queued or running'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l wait -d 'Wait for the tests and report the outcome; Ctrl-C stops waiting, not the tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s s -l series -l release -d 'Release [default: the only one with excuses]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l excuses -d 'Excuses: update_excuses.yaml[.xz], its URL, or `-` for standard input [default: the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l state -d 'Only tests in these states [default: REGRESSION]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l min-age -d 'Only versions at least DAYS days old (unknown age is included)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l max-age -d 'Only versions at most DAYS days old (unknown age is included)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l blocks -d 'Only tests triggered by this package\'s new version' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l blocked-by -d 'Only tests triggered by a package that waits for this package to migrate' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l test -l blocked-by-tests -d 'Only tests of this package (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s a -l arch -l architecture -d 'Only this architecture (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l log-regex -d 'Only tests whose log has a line that matches this regular expression' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l add-trigger -d 'Additional trigger for every test (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l limit -d 'Maximum number of requests' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l requester -d 'Name recorded as the requester' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l only-unknown -d 'Only tests whose tested version is "unknown"'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l only-infra -d 'Only tests whose latest result is a testbed failure'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l only-flaky -d 'Only tests that both passed and failed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l no-proposed -d 'Test the release alone, for a new baseline'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l all-proposed -d 'Take all packages from the proposed pocket, not only the triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l group -d 'Make one request per test and architecture, with all its triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l urls -d 'Print request.cgi URLs instead of submitting requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s n -l dry-run -d 'Show what would be requested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l force -d 'Submit even if an identical request is already queued or running'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l wait -d 'Wait for the tests and report the outcome; Ctrl-C stops waiting, not the tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s s -l release -l series -d 'Only this release (can be repeated) [default: all releases of the site]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l trigger -d 'Only runs with this trigger, in the given or any version' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l requester -d 'Only runs requested by NAME' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l outcome -d 'Only runs with this outcome (comma-separated for several)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l since -d 'Only runs published since TIME, such as `2d`, `12h` or `2026-11-23`' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l until -d 'Only runs published before TIME' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l ppa -d 'Show runs with packages from this PPA instead' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l limit -d 'Maximum number of results to show' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l latest -d 'Only the latest result of each package, release and architecture'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l matrix -d 'Show a package\'s latest outcomes as a table of releases and architectures'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "show" -d 'Show the details of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "diff" -d 'Compare two runs: versions, triggers, testbed packages and tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "blame" -d 'Find what broke a package\'s tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "flaky" -d 'Show tests that both passed and failed with the same versions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "stats" -d 'Count runs by release, architecture and day'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "expire" -d 'Remove old runs from the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "drop-release" -d 'Remove a release and all its results, including PPA and private results'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l testbed -d 'Testbed for that command: autopkgtest virt server and arguments [default: qemu autopkgtest-RELEASE-ARCH.img]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l reproduce -d 'Print only the command that reproduces the test by hand'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l since -d 'Only runs published since TIME' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l limit -d 'Maximum number of tests to show, worst first' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l since -d 'Only runs published since TIME' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l plot -d 'Draw a bar chart by day instead'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s s -l release -l series -d 'Release whose runs to remove' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l older-than -d 'Only runs published before TIME: `180d`, `26w`, `6mo`, `1y`, `12h` or a date' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l keep-latest -d 'Number of complete runs of each package and architecture to keep in any case' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l confirm -d 'Do not ask for confirmation; must repeat the release\'s name' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s n -l dry-run -d 'Show what would be removed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l confirm -d 'Do not ask for confirmation; must repeat the release\'s name' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s n -l dry-run -d 'Show what would be removed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the details of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Compare two runs: versions, triggers, testbed packages and tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "blame" -d 'Find what broke a package\'s tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "flaky" -d 'Show tests that both passed and failed with the same versions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "stats" -d 'Count runs by release, architecture and day'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "expire" -d 'Remove old runs from the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "drop-release" -d 'Remove a release and all its results, including PPA and private results'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s s -l release -l series -d 'Only containers of this release and its PPAs (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l rebuild -d 'Re-read everything, including what is already indexed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s f -l follow -d 'Keep running until Ctrl-C: index results as workers announce them, and rescan everything every 15 minutes (every 10 seconds with the embedded queue)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -f -a "export" -d 'Write the database for proposed-migration and web pages, and its checksum'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write the database for proposed-migration and web pages, and its checksum'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l test -d 'Only the section of this test (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l failed -d 'Only the sections of failed tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s f -l follow -d 'Follow the log of the package\'s running test'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s s -l release -l series -d 'Only this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s a -l arch -l architecture -d 'Only this architecture' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s o -l output -d 'Directory to unpack to, empty or not yet existing [default: PACKAGE-RUN]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l limit -d 'Maximum size to unpack, in MiB' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l list -d 'Only list the artifacts'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "add-hook" -d 'Start testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "list-hooks" -d 'List hooks, whether they are declared and exist on the forge, and their last delivery'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "remove-hook" -d 'Stop testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "rotate-secret" -d 'Rotate the secret of a project\'s hooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "set-token" -d 'Store the token used to set a project\'s statuses'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "retry" -d 'Re-test a pull request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "status" -d 'Show the tests of a pull request: status on the forge, request and result'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "sync" -d 'Make the hooks on the forge match those that the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "reconcile" -d 'Close pending statuses whose tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s s -l release -l series -d 'Release to test on' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s a -l arch -l architecture -d 'Architecture to test on (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l package -d 'Package name in results [default: the project\'s name]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l build-git -d 'Branch to build and test; it must fetch the pull request itself [default: the pull request]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l ppa -d 'PPA to take packages from (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l env -d 'Environment variable for the tests (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l env-allowed -d 'Variable that the hook\'s URL may set, such as CFLAGS=-O* (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l status-token -d 'Also store the token for statuses, from FILE or a hidden prompt' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l legacy -d 'Accept deliveries that are signed only with SHA-1'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l manual -d 'Print what the project\'s administrator must enter, instead of creating the hook'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s a -l arch -l architecture -d 'Only hooks and tests for this architecture (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l package -d 'Only hooks with this package name in results' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l manual -d 'Do not change the forge; the project\'s administrator removes the hook there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l force -d 'Remove the old secret even if no delivery signed with the new one was received'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l manual -d 'Print the new secret for manual entry; with --force, finish a manual rotation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l file -d 'Read the token from FILE' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l api-url -d 'API URL [default: that of the project\'s hooks, else of github.com/gitlab.com]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s a -l arch -l architecture -d 'Only hooks and tests for this architecture (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l package -d 'Only hooks with this package name in results' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l direct -d 'Queue the requests directly, without the service'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l force -d 'Submit even if an identical request is already queued or running'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l wait -d 'Wait for the tests and report the outcome; Ctrl-C stops waiting, not the tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l days -d 'Number of days to look back for pull requests' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "add-hook" -d 'Start testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "list-hooks" -d 'List hooks, whether they are declared and exist on the forge, and their last delivery'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "remove-hook" -d 'Stop testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "rotate-secret" -d 'Rotate the secret of a project\'s hooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "set-token" -d 'Store the token used to set a project\'s statuses'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Re-test a pull request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the tests of a pull request: status on the forge, request and result'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "sync" -d 'Make the hooks on the forge match those that the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "reconcile" -d 'Close pending statuses whose tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "add-hook" -d 'Start testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "list-hooks" -d 'List hooks, whether they are declared and exist on the forge, and their last delivery'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "remove-hook" -d 'Stop testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "rotate-secret" -d 'Rotate the secret of a project\'s hooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "set-token" -d 'Store the token used to set a project\'s statuses'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "retry" -d 'Re-test a pull request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "status" -d 'Show the tests of a pull request: status on the forge, request and result'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "sync" -d 'Make the hooks on the forge match those that the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "reconcile" -d 'Close pending statuses whose tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s s -l release -l series -d 'Release to test on' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s a -l arch -l architecture -d 'Architecture to test on (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l package -d 'Package name in results [default: the project\'s name]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l build-git -d 'Branch to build and test; it must fetch the pull request itself [default: the pull request]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l ppa -d 'PPA to take packages from (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l env -d 'Environment variable for the tests (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l env-allowed -d 'Variable that the hook\'s URL may set, such as CFLAGS=-O* (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l status-token -d 'Also store the token for statuses, from FILE or a hidden prompt' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l legacy -d 'Accept deliveries that are signed only with SHA-1'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l manual -d 'Print what the project\'s administrator must enter, instead of creating the hook'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s a -l arch -l architecture -d 'Only hooks and tests for this architecture (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l package -d 'Only hooks with this package name in results' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l manual -d 'Do not change the forge; the project\'s administrator removes the hook there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l force -d 'Remove the old secret even if no delivery signed with the new one was received'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l manual -d 'Print the new secret for manual entry; with --force, finish a manual rotation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l file -d 'Read the token from FILE' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l api-url -d 'API URL [default: that of the project\'s hooks, else of github.com/gitlab.com]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s a -l arch -l architecture -d 'Only hooks and tests for this architecture (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l package -d 'Only hooks with this package name in results' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l direct -d 'Queue the requests directly, without the service'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l force -d 'Submit even if an identical request is already queued or running'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l wait -d 'Wait for the tests and report the outcome; Ctrl-C stops waiting, not the tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l api-url -d 'API URL of a server other than github.com/gitlab.com; only hooks there are used' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l token-file -d 'Read the administrator\'s token from FILE [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s n -l dry-run -d 'Show what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l days -d 'Number of days to look back for pull requests' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "add-hook" -d 'Start testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "list-hooks" -d 'List hooks, whether they are declared and exist on the forge, and their last delivery'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "remove-hook" -d 'Stop testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "rotate-secret" -d 'Rotate the secret of a project\'s hooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "set-token" -d 'Store the token used to set a project\'s statuses'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Re-test a pull request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the tests of a pull request: status on the forge, request and result'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "sync" -d 'Make the hooks on the forge match those that the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "reconcile" -d 'Close pending statuses whose tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l listen -d 'Address to listen on (port 0: a free one) [default: the site\'s, else 127.0.0.1:8870]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -f -a "trust" -d 'Trust a site, or list trusted sites'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -f -a "untrust" -d 'Stop trusting a site'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l list -d 'List trusted sites (piped output is tab-separated: path, user id of the owner)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from help" -f -a "trust" -d 'Trust a site, or list trusted sites'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from help" -f -a "untrust" -d 'Stop trusting a site'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "list" -d 'List secrets (not their values)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "set" -d 'Store a secret, or replace an existing one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "rotate" -d 'Replace an existing secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "bind" -d 'Bind unbound secrets to a server, or change the server or readers of a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "show" -d 'Show the details of a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "remove" -d 'Remove a secret; if it was committed, its encrypted form stays in git history'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "import" -d 'Import secrets from github-secrets.json or github-status-credentials.txt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "export" -d 'Write github-secrets.json or github-status-credentials.txt, readable only by you'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "recipients" -d 'Manage the SSH keys that can decrypt the secrets'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l note -d 'Note (not encrypted); unchanged if omitted' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l server -d 'The only server that may receive the secret [default: as before, or the site\'s queue, the Swift login, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l service -d 'Web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l for -d 'Role that needs it besides operators: web, worker, worker:HOST, or operator if nobody else needs it (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l file -d 'Read the secret from FILE (a trailing newline is ignored)' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l generate -d 'Generate a random secret and print it'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l note -d 'Note (not encrypted); unchanged if omitted' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l server -d 'The only server that may receive the secret [default: as before, or the site\'s queue, the Swift login, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l service -d 'Web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l for -d 'Role that needs it besides operators: web, worker, worker:HOST, or operator if nobody else needs it (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l file -d 'Read the secret from FILE (a trailing newline is ignored)' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l generate -d 'Generate a random secret and print it'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l server -d 'The only server that may receive the secret [default: as before, or the site\'s queue, the Swift login, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l service -d 'Web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l for -d 'Role that needs it besides operators: web, worker, worker:HOST, or operator if nobody else needs it (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l reveal -d 'Also show the secret itself'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask for confirmation'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l kind -d 'github-hook (.json) or github-status (.txt) [default: by the file extension]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l server -d 'The only server that may receive the secret [default: as before, or the site\'s queue, the Swift login, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l service -d 'Web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l for -d 'Role that needs it besides operators: web, worker, worker:HOST, or operator if nobody else needs it (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l kind -d 'github-hook (.json) or github-status (.txt) [default: by the file extension]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "list" -d 'List recipients and the secrets that they can decrypt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "add" -d 'Let a key decrypt the secrets that its roles need'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "confirm" -d 'Confirm recipients that were added in the site\'s files'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "remove" -d 'Remove a key and re-encrypt all secrets; rotate those that it could decrypt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "list" -d 'List secrets (not their values)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "set" -d 'Store a secret, or replace an existing one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Replace an existing secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "bind" -d 'Bind unbound secrets to a server, or change the server or readers of a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the details of a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a secret; if it was committed, its encrypted form stays in git history'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "import" -d 'Import secrets from github-secrets.json or github-status-credentials.txt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write github-secrets.json or github-status-credentials.txt, readable only by you'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "recipients" -d 'Manage the SSH keys that can decrypt the secrets'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l site -d 'Site directory [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l color -d 'When to use colours: always, never, or auto (the default; honours NO_COLOR)' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l json -d 'Print JSON, the stable format for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -s q -l quiet -d 'Do not print notes or progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -s v -l verbose -d 'Increase verbosity (can be repeated)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "run" -d 'Request tests of packages'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "worker" -d 'Run queued tests, or control the workers on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "queues" -d 'Show queues and their requests; remove or move requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "running" -d 'Show running tests, or follow the log of one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "cancel" -d 'Cancel running tests on any host, or remove requests from their queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "retry" -d 'Re-run tests, using the requests of earlier runs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "retry-regressions" -d 'Re-run the tests that block packages from migrating'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "results" -d 'List results, newest first; explain, compare and count them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "index" -d 'Build a local index of the store\'s results for fast queries'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "log" -d 'Show the log of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "artifacts" -d 'List or unpack the artifacts of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "github" -d 'Test the pull requests of GitHub projects, and report the results there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "gitlab" -d 'Test the merge requests of GitLab projects, and report the results there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "serve" -d 'Run the web service for test requests and for GitHub and GitLab webhooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "init" -d 'Create a site: a git repository with a commented configuration'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "site" -d 'Manage trust in sites found in or above the working directory'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "config" -d 'Show each setting and its origin; passwords are hidden'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "credentials" -d 'Manage the site\'s secrets: passwords, tokens and hook secrets'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "completions" -d 'Print shell completions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "explain" -d 'Show the command line, time limits and container of a test, and where they come from'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "check" -d 'Check worker.conf, the override files, this host\'s autopkgtest, the queue and the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "status" -d 'Show what the workers on this host are doing'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "stop" -d 'Stop the workers on this host after their running tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "reload" -d 'Make the workers on this host re-read worker.conf and the override files'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "cancel" -d 'Cancel running tests on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "show" -d 'Show the requests of a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "remove" -d 'Remove queued requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "purge" -d 'Remove all queued requests of the named queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "dedupe" -d 'Remove requests that duplicate an earlier request in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "supersede" -d 'Remove requests superseded by a newer request in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "move" -d 'Move queued requests to the end of another queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "dead" -d 'Show dead letters and their reasons, requeue them, or remove them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "show" -d 'Show the details of a run, or of a package\'s latest run'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "diff" -d 'Compare two runs: versions, triggers, testbed packages and tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "blame" -d 'Find what broke a package\'s tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "flaky" -d 'Show tests that both passed and failed with the same versions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "stats" -d 'Count runs by release, architecture and day'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "expire" -d 'Remove old runs from the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "drop-release" -d 'Remove a release and all its results, including PPA and private results'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from index" -f -a "export" -d 'Write the database for proposed-migration and web pages, and its checksum'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "add-hook" -d 'Start testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "list-hooks" -d 'List hooks, whether they are declared and exist on the forge, and their last delivery'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "remove-hook" -d 'Stop testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "rotate-secret" -d 'Rotate the secret of a project\'s hooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "set-token" -d 'Store the token used to set a project\'s statuses'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "retry" -d 'Re-test a pull request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "status" -d 'Show the tests of a pull request: status on the forge, request and result'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "sync" -d 'Make the hooks on the forge match those that the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "reconcile" -d 'Close pending statuses whose tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "add-hook" -d 'Start testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "list-hooks" -d 'List hooks, whether they are declared and exist on the forge, and their last delivery'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "remove-hook" -d 'Stop testing a project\'s pull requests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "rotate-secret" -d 'Rotate the secret of a project\'s hooks'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "set-token" -d 'Store the token used to set a project\'s statuses'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "retry" -d 'Re-test a pull request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "status" -d 'Show the tests of a pull request: status on the forge, request and result'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "sync" -d 'Make the hooks on the forge match those that the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "reconcile" -d 'Close pending statuses whose tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from site" -f -a "trust" -d 'Trust a site, or list trusted sites'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from site" -f -a "untrust" -d 'Stop trusting a site'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "list" -d 'List secrets (not their values)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "set" -d 'Store a secret, or replace an existing one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "rotate" -d 'Replace an existing secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "bind" -d 'Bind unbound secrets to a server, or change the server or readers of a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "show" -d 'Show the details of a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "remove" -d 'Remove a secret; if it was committed, its encrypted form stays in git history'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "import" -d 'Import secrets from github-secrets.json or github-status-credentials.txt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "export" -d 'Write github-secrets.json or github-status-credentials.txt, readable only by you'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "recipients" -d 'Manage the SSH keys that can decrypt the secrets'
