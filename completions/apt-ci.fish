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

complete -c apt-ci -n "__fish_apt_ci_needs_command" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_needs_command" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -s V -l version -d 'Print version'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "run" -d 'Request tests of packages'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "worker" -d 'Run the tests that wait in the queues, or steer the workers of this host'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "queues" -d 'Show the queues, or the requests of one; take requests out'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "running" -d 'Show what runs now, or follow the log of a test'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "cancel" -d 'End tests, on whatever host they run, or take requests out of their queues'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "retry" -d 'Run tests again: the same requests as those of past runs'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "retry-regressions" -d 'Run the tests again that keep new versions out of a release'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "results" -d 'Show results, newest first; explain, compare and count them'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "index" -d 'Copy what the store tells about results into a file that answers at once'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "log" -d 'Show the log of a run, or of a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "artifacts" -d 'Show or unpack the artifacts of a run, or of a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "github" -d 'Test the pull requests of projects at GitHub, and show the results there'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "gitlab" -d 'Test the merge requests of projects at GitLab, and show the results there'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "serve" -d 'Take requests over the web, and test and report what GitHub and GitLab deliver'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "init" -d 'Make a new site: a git repository with a commented configuration'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "site" -d 'Trust sites that are found in the working directory'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "config" -d 'Show each setting with the place it comes from; passwords are hidden'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "credentials" -d 'Keep the site\'s secrets: passwords, tokens, hooks\' secrets'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "completions" -d 'Print the completions for a shell'
complete -c apt-ci -n "__fish_apt_ci_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s s -l release -l series -d 'The release to test on' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s a -l arch -l architecture -d 'An architecture to test on; repeat for more [default: all that the site configures for the release]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l trigger -d 'The package and version that causes the test; repeat for packages that must land together' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l ppa -d 'A package archive to take packages from; repeat for more. One with a token is given by --batch alone' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l test-git -d 'Take the test from this git branch, the packages from the archive' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l build-git -d 'Build and test this git branch' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l test-bzr -d 'Take the test from this Bazaar branch' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l swiftuser -d 'Make the run private: only this user of the store may read its result' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l readable-by -d 'Who else may read the result of a private run, on web pages; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l context -d 'The queues to use: distribution, huge, ppa or upstream [default: ppa with a PPA, upstream with a branch, else distribution]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l env -d 'A variable for the test\'s environment; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l requester -d 'Who asks for it, for those who look at the results' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l watch -d 'Ask for nothing; watch these requests until their tests have ended, as --wait does' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l batch -d 'Read requests from a file, or from standard input with `-`: lines of the form QUEUE:SRC {json}' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l baseline -d 'Test the release as it is, to compare others with: the trigger migration-reference/0'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l bulk -d 'Bulk work, which holds up no other: the same as --context huge'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l all-proposed -d 'Take every package from the proposed pocket, not only the triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l force -d 'Ask for a test even if the same request waits or runs already'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l wait -d 'Wait until the tests have ended, and tell how; Ctrl-C ends the waiting alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l check -d 'Ask Launchpad whether the triggers are published in the release, and refuse those that are not'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s n -l dry-run -d 'Print the requests instead of queueing them, in the form that --batch reads'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand run" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s c -l config -d 'The testbed\'s configuration [default: the site\'s worker.conf; without one, tests run on this host with `null`]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l variable -d 'Define a $KEY for worker.conf; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s a -l arch -l architecture -d 'An architecture to serve; repeat for more [default: worker.conf\'s, else this host\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l slots -d 'How many tests to run at the same time [default: 1]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l name -d 'The worker\'s name in results and messages [default: this host\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l drain -d 'End when nothing waits in the queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l once -d 'End after one request'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "explain" -d 'Show the command line, time limits and container of a package\'s test, and which line decided each'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "check" -d 'Tell what is wrong with worker.conf, the override files, this host\'s autopkgtest, the queue and the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "status" -d 'Show what the workers of this host do'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "stop" -d 'Let the workers of this host finish their tests, and end'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "reload" -d 'Make the workers of this host read worker.conf and the override files again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "cancel" -d 'End tests that run on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and not __fish_seen_subcommand_from explain check status stop reload cancel help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s s -l release -l series -d 'The release to test on [default: the only one that is served]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s a -l arch -l architecture -d 'The architecture to test on [default: worker.conf\'s first, else this host\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l trigger -d 'The package and version that causes the test; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l ppa -d 'A package archive to take packages from; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l env -d 'A variable for the test\'s environment; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l test-git -d 'Test a git branch against the archive\'s packages' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l build-git -d 'Test a git branch against the packages that are built from it' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l test-bzr -d 'Test a Bazaar branch against the archive\'s packages' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s c -l config -d 'The testbed\'s configuration [default: the site\'s worker.conf; without one, tests run on this host with `null`]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l variable -d 'Define a $KEY for worker.conf; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l all-proposed -d 'Take every package from the proposed pocket, not only the triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from explain" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s c -l config -d 'The testbed\'s configuration [default: the site\'s worker.conf; without one, tests run on this host with `null`]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l variable -d 'Define a $KEY for worker.conf; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l pid -d 'The worker with this process id; repeat for more [default: every worker of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l pid -d 'The worker with this process id; repeat for more [default: every worker of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l restart -d 'Make them end with 10, as after SIGHUP: their unit starts them again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l wait -d 'Return when they have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l pid -d 'The worker with this process id; repeat for more [default: every worker of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from reload" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l pid -d 'The worker with this process id; repeat for more [default: every worker of the site on this host]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l requeue -d 'Put the request back into its queue, instead of to the dead letters'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l all -d 'End all tests and the workers with them; the requests go back to their queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l wait -d 'Return when the tests, or with --all the workers, have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from cancel" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "explain" -d 'Show the command line, time limits and container of a package\'s test, and which line decided each'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "check" -d 'Tell what is wrong with worker.conf, the override files, this host\'s autopkgtest, the queue and the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show what the workers of this host do'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Let the workers of this host finish their tests, and end'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "reload" -d 'Make the workers of this host read worker.conf and the override files again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "cancel" -d 'End tests that run on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand worker; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l limit -d 'How many of its requests to show at most, of each kind' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s w -l watch -d 'Show them again every two seconds, until Ctrl-C'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l estimate -d 'Say when the last request of each queue will be done, from how long its packages took and how many slots there are; reads the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l all -d 'On a terminal, show the queues in which nothing is, too'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "show" -d 'Show the requests of a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "remove" -d 'Remove requests that wait in a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "purge" -d 'Remove everything that waits in a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "dedupe" -d 'Remove requests that ask for the same test as one before them in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "supersede" -d 'Remove requests that a newer one in the queue makes needless'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "move" -d 'Move what waits in a queue to the end of another'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "dead" -d 'Show dead letters with their reasons, put them back, or remove them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and not __fish_seen_subcommand_from show remove purge dedupe supersede move dead help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l limit -d 'How many requests to show at most, of each kind' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s c -l match -d 'Those that match KEY=PATTERN, such as `trigger=glibc/*`; every one that is given has to match' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l uuid -d 'The one with this id; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from purge" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dedupe" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from supersede" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s c -l match -d 'Those that match KEY=PATTERN, such as `trigger=glibc/*`; every one that is given has to match' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l uuid -d 'The one with this id; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from move" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -a "requeue" -d 'Put dead letters that are requests back into their queues; their attempts begin anew'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -a "drop" -d 'Remove dead letters; they are written to a file before'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from dead" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show the requests of a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove requests that wait in a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "purge" -d 'Remove everything that waits in a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "dedupe" -d 'Remove requests that ask for the same test as one before them in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "supersede" -d 'Remove requests that a newer one in the queue makes needless'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "move" -d 'Move what waits in a queue to the end of another'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "dead" -d 'Show dead letters with their reasons, put them back, or remove them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand queues; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s s -l release -l series -d 'Only this release\'s' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s a -l arch -l architecture -d 'Only this architecture\'s' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l listen -d 'Listen for so many seconds to what workers of other programs tell' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s f -l follow -d 'Print the test\'s log as it grows, until the test ends'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand running" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s c -l match -d 'All that match KEY=PATTERN, such as `trigger=glibc/*`; every one that is given has to match' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s y -l yes -d 'Do not ask, with --match'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l requeue -d 'Put the request of a running test back into its queue; one that waits is left there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand cancel" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l outcome -d 'Instead of named runs, all that ended so; several with commas' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l since -d 'Instead of named runs, all that ended since then: `2d`, `12h`, or a time' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l package -d 'Of these, only this package\'s' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l requester -d 'Who asks for it' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s n -l dry-run -d 'Print the requests instead of queueing them, in the form that `run --batch` reads'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l force -d 'Ask for a test even if the same request waits or runs already'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l wait -d 'Wait until the tests have ended, and tell how; Ctrl-C ends the waiting alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s y -l yes -d 'Do not ask, however many requests there are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s s -l series -l release -d 'The release [default: the only one with excuses]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l excuses -d 'Where the excuses are: update_excuses.yaml[.xz], its URL, or `-` for standard input [default: the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l state -d 'Only tests in these states [default: REGRESSION]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l min-age -d 'Only for versions that wait for at least so many days; those of unknown age count' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l max-age -d 'Only for versions that wait for at most so many days; those of unknown age count' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l blocks -d 'Only tests that this package\'s new version causes' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l blocked-by -d 'Only tests whose cause waits for this package to migrate' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l test -l blocked-by-tests -d 'Only this package\'s tests; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s a -l arch -l architecture -d 'Only on this architecture; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l log-regex -d 'Only tests with a line in their log that matches this regular expression' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l add-trigger -d 'A further trigger for every test; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l limit -d 'How many requests at most' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l requester -d 'Who asks for it' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l only-unknown -d 'Only tests whose tested version is "unknown"'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l only-infra -d 'Only tests whose newest result is a failure of the testbed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l only-flaky -d 'Only tests that both pass and fail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l no-proposed -d 'Test against the release alone, for a new baseline'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l all-proposed -d 'Take every package from the proposed pocket, not only the triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l group -d 'One request per test and architecture, with all its triggers'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l urls -d 'Print request.cgi URLs instead'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s n -l dry-run -d 'Show what would be requested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l force -d 'Ask for a test even if the same request waits or runs already'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l wait -d 'Wait until the tests have ended, and tell how; Ctrl-C ends the waiting alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s y -l yes -d 'Do not ask, however many requests there are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand retry-regressions" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s s -l release -l series -d 'Only this release\'s; repeat for more [default: every release that the site configures]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s a -l arch -l architecture -d 'Only this architecture\'s' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l trigger -d 'Only those with this trigger, in any version or in this one' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l requester -d 'Only those that this one has asked for' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l outcome -d 'Only those that ended so; several with commas' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l since -d 'Only those published since then: `2d`, `12h`, or a time' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l until -d 'Only those published before then' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l ppa -d 'Those with packages from this PPA instead' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l limit -d 'How many to show at most' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l latest -d 'Only the latest of each package, release and architecture'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l matrix -d 'A package\'s latest outcomes: releases by architectures'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "show" -d 'Show everything about a run, or about a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "diff" -d 'Compare two runs: versions, triggers, packages in the testbed, tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "blame" -d 'Find out what broke a package\'s tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "flaky" -d 'Show tests that both passed and failed with the same versions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "stats" -d 'Count runs by release, architecture and day'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "expire" -d 'Remove old runs from the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "drop-release" -d 'Remove a release with all of its results, those with PPAs and private ones included'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and not __fish_seen_subcommand_from show diff blame flaky stats expire drop-release help" -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l testbed -d 'The testbed in that command: autopkgtest\'s virt server and its arguments [default: qemu autopkgtest-RELEASE-ARCH.img]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l reproduce -d 'Print only the command that tests the same by hand'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from blame" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l since -d 'Since when' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l limit -d 'How many to show at most, the worst first' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from flaky" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l since -d 'Since when' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l plot -d 'Draw the days instead'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from stats" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s s -l release -l series -d 'The release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l older-than -d 'Only runs published before then: `180d`, `26w`, `6mo`, `1y`, `12h`, or a time' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l keep-latest -d 'How many complete runs of each package and architecture stay in any case' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l confirm -d 'Do not ask: the release\'s name once more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s n -l dry-run -d 'Only say what would be removed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from expire" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l confirm -d 'Do not ask: the release\'s name once more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s n -l dry-run -d 'Only say what would be removed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from drop-release" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show everything about a run, or about a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Compare two runs: versions, triggers, packages in the testbed, tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "blame" -d 'Find out what broke a package\'s tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "flaky" -d 'Show tests that both passed and failed with the same versions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "stats" -d 'Count runs by release, architecture and day'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "expire" -d 'Remove old runs from the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "drop-release" -d 'Remove a release with all of its results, those with PPAs and private ones included'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand results; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s s -l release -l series -d 'Only this release\'s containers, those of its PPAs included; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l rebuild -d 'Take over what is known already, too'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s f -l follow -d 'Stay, take over what workers announce, and look through everything every quarter of an hour, until Ctrl-C; with the embedded queue, every ten seconds'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -f -a "export" -d 'Write the database that proposed-migration and web pages read, with its checksum in FILE.sha256'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and not __fish_seen_subcommand_from export help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write the database that proposed-migration and web pages read, with its checksum in FILE.sha256'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand index; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l test -d 'Only the section of this test; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l failed -d 'Only the sections of tests that failed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s f -l follow -d 'Follow the log of the package\'s test that runs now'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand log" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s s -l release -l series -d 'Only this release\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s a -l arch -l architecture -d 'Only this architecture\'s runs' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s o -l output -d 'The folder to unpack to, which is made if it is missing, and has to be empty [default: PACKAGE-RUN]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l limit -d 'How much to unpack at most, in MiB' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l list -d 'Only show what is there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand artifacts" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "add-hook" -d 'Have a project\'s pull requests tested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "list-hooks" -d 'Show the hooks: those that are declared, whether they are at the forge, and how their last delivery ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "remove-hook" -d 'Test a project\'s pull requests no more'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "rotate-secret" -d 'Give a project\'s hooks another secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "set-token" -d 'Store the token that a project\'s statuses are set with'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "retry" -d 'Test a pull request again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "status" -d 'Show the tests of a pull request: what the forge shows, and where their requests and results are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "sync" -d 'Make the forge agree with what the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "reconcile" -d 'Close the statuses that are pending although their tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s s -l release -l series -d 'The release to test on' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s a -l arch -l architecture -d 'An architecture to test on; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l package -d 'What the results are called [default: the project\'s name]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l build-git -d 'Build and test this branch, which finds the pull request by itself [default: the pull request]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l ppa -d 'A package archive to take packages from; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l env -d 'A variable for the tests\' environment; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l env-allowed -d 'What else the hook\'s address may set, such as CFLAGS=-O*; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l status-token -d 'Store the token for the statuses, too: from this file, or a hidden prompt' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l legacy -d 'Take deliveries that are only signed with SHA-1'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l manual -d 'Do not make it at the forge: print what its administrator has to enter there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from add-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from list-hooks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s a -l arch -l architecture -d 'Only hooks, and tests, for this architecture; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l package -d 'Only hooks whose results have this name' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l manual -d 'Leave the forge alone: its administrator removes it there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from remove-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l force -d 'Take the old secret away even if no delivery with the new one was seen'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l manual -d 'Do not change it at the forge: print the new one, for its administrator; with --force, end that'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from rotate-secret" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l file -d 'Read the token from this file' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l api-url -d 'The API of another server than the one of the project\'s hooks, or the best-known one' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from set-token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s a -l arch -l architecture -d 'Only hooks, and tests, for this architecture; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l package -d 'Only hooks whose results have this name' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l direct -d 'Queue the requests from here, without the service'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l force -d 'Ask for a test even if the same request waits or runs already'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l wait -d 'Wait until the tests have ended, and tell how; Ctrl-C ends the waiting alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l days -d 'How many days back pull requests are looked at' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "add-hook" -d 'Have a project\'s pull requests tested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "list-hooks" -d 'Show the hooks: those that are declared, whether they are at the forge, and how their last delivery ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "remove-hook" -d 'Test a project\'s pull requests no more'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "rotate-secret" -d 'Give a project\'s hooks another secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "set-token" -d 'Store the token that a project\'s statuses are set with'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Test a pull request again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the tests of a pull request: what the forge shows, and where their requests and results are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "sync" -d 'Make the forge agree with what the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "reconcile" -d 'Close the statuses that are pending although their tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand github; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "add-hook" -d 'Have a project\'s pull requests tested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "list-hooks" -d 'Show the hooks: those that are declared, whether they are at the forge, and how their last delivery ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "remove-hook" -d 'Test a project\'s pull requests no more'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "rotate-secret" -d 'Give a project\'s hooks another secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "set-token" -d 'Store the token that a project\'s statuses are set with'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "retry" -d 'Test a pull request again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "status" -d 'Show the tests of a pull request: what the forge shows, and where their requests and results are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "sync" -d 'Make the forge agree with what the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "reconcile" -d 'Close the statuses that are pending although their tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and not __fish_seen_subcommand_from add-hook list-hooks remove-hook rotate-secret set-token retry status sync reconcile help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s s -l release -l series -d 'The release to test on' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s a -l arch -l architecture -d 'An architecture to test on; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l package -d 'What the results are called [default: the project\'s name]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l build-git -d 'Build and test this branch, which finds the pull request by itself [default: the pull request]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l ppa -d 'A package archive to take packages from; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l env -d 'A variable for the tests\' environment; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l env-allowed -d 'What else the hook\'s address may set, such as CFLAGS=-O*; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l testname -d 'Run only this test of the package' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l status-token -d 'Store the token for the statuses, too: from this file, or a hidden prompt' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l legacy -d 'Take deliveries that are only signed with SHA-1'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l manual -d 'Do not make it at the forge: print what its administrator has to enter there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from add-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from list-hooks" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s a -l arch -l architecture -d 'Only hooks, and tests, for this architecture; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l package -d 'Only hooks whose results have this name' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l manual -d 'Leave the forge alone: its administrator removes it there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from remove-hook" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l force -d 'Take the old secret away even if no delivery with the new one was seen'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l manual -d 'Do not change it at the forge: print the new one, for its administrator; with --force, end that'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from rotate-secret" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l file -d 'Read the token from this file' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l api-url -d 'The API of another server than the one of the project\'s hooks, or the best-known one' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from set-token" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s s -l release -l series -d 'Only hooks for this release' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s a -l arch -l architecture -d 'Only hooks, and tests, for this architecture; repeat for more' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l package -d 'Only hooks whose results have this name' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l direct -d 'Queue the requests from here, without the service'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l force -d 'Ask for a test even if the same request waits or runs already'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l wait -d 'Wait until the tests have ended, and tell how; Ctrl-C ends the waiting alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from retry" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from status" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l api-url -d 'The API of another server than the best-known one; where hooks are at several, only those there' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l token-file -d 'Read the administrator\'s token from this file [default: GITHUB_TOKEN or GITLAB_TOKEN, or a hidden prompt]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s n -l dry-run -d 'Only say what would be done'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from sync" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l days -d 'How many days back pull requests are looked at' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from reconcile" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "add-hook" -d 'Have a project\'s pull requests tested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "list-hooks" -d 'Show the hooks: those that are declared, whether they are at the forge, and how their last delivery ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "remove-hook" -d 'Test a project\'s pull requests no more'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "rotate-secret" -d 'Give a project\'s hooks another secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "set-token" -d 'Store the token that a project\'s statuses are set with'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "retry" -d 'Test a pull request again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "status" -d 'Show the tests of a pull request: what the forge shows, and where their requests and results are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "sync" -d 'Make the forge agree with what the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "reconcile" -d 'Close the statuses that are pending although their tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand gitlab; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l listen -d 'Where to listen; port 0 takes a free one [default: the site\'s, else 127.0.0.1:8870]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand serve" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand init" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -f -a "trust" -d 'Trust a site, or list the trusted ones'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -f -a "untrust" -d 'Stop trusting a site'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and not __fish_seen_subcommand_from trust untrust help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l list -d 'List the trusted sites; a pipe gets path and owner\'s user id, separated by a tab'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from trust" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from untrust" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from help" -f -a "trust" -d 'Trust a site, or list the trusted ones'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from help" -f -a "untrust" -d 'Stop trusting a site'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand site; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand config" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "list" -d 'Show which secrets there are, without them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "set" -d 'Store a secret: a new one, or another one for a name'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "rotate" -d 'Replace a secret that is there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "bind" -d 'Bind secrets from before they were bound to a server, or whose server or readers have changed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "show" -d 'Show what is known about a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "remove" -d 'Remove a secret; what git has kept of it stays in its history, encrypted'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "import" -d 'Take over the secrets of github-secrets.json or github-status-credentials.txt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "export" -d 'Write github-secrets.json or github-status-credentials.txt, for its owner alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "recipients" -d 'Show and change whose SSH keys open the secrets'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and not __fish_seen_subcommand_from list set rotate bind show remove import export recipients help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l note -d 'What to know about it, which is not encrypted; stays as it is without this' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l server -d 'The server that alone may get it [default: as before, or the site\'s queue, the login of Swift, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l service -d 'The web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l for -d 'A role that needs it, beside operators: web, worker, worker:HOST, or operator for nobody else (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l file -d 'Read the secret from this file; its last line end does not count' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l generate -d 'Make a random one, and print it'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from set" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l note -d 'What to know about it, which is not encrypted; stays as it is without this' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l server -d 'The server that alone may get it [default: as before, or the site\'s queue, the login of Swift, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l service -d 'The web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l for -d 'A role that needs it, beside operators: web, worker, worker:HOST, or operator for nobody else (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l file -d 'Read the secret from this file; its last line end does not count' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l generate -d 'Make a random one, and print it'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from rotate" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l server -d 'The server that alone may get it [default: as before, or the site\'s queue, the login of Swift, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l service -d 'The web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l for -d 'A role that needs it, beside operators: web, worker, worker:HOST, or operator for nobody else (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from bind" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l reveal -d 'Show the secret, too'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s y -l yes -d 'Do not ask'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from remove" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l kind -d 'Which of the two it is [default: by the file\'s ending, .json or .txt]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l server -d 'The server that alone may get it [default: as before, or the site\'s queue, the login of Swift, or the hook\'s forge]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l service -d 'The web service that GitLab may send a hook\'s secret to [default: as before, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l for -d 'A role that needs it, beside operators: web, worker, worker:HOST, or operator for nobody else (can be repeated)' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l kind -d 'Which of the two it is [default: by the file\'s ending, .json or .txt]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "list" -d 'Show whose keys open the secrets, and which'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "add" -d 'Let a key open the secrets that its roles need'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "confirm" -d 'Confirm recipients that came with the site\'s files'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "remove" -d 'Encrypt all secrets without a key; what it knew must be rotated'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from recipients" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "list" -d 'Show which secrets there are, without them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "set" -d 'Store a secret: a new one, or another one for a name'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "rotate" -d 'Replace a secret that is there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "bind" -d 'Bind secrets from before they were bound to a server, or whose server or readers have changed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what is known about a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "remove" -d 'Remove a secret; what git has kept of it stays in its history, encrypted'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "import" -d 'Take over the secrets of github-secrets.json or github-status-credentials.txt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "export" -d 'Write github-secrets.json or github-status-credentials.txt, for its owner alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "recipients" -d 'Show and change whose SSH keys open the secrets'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand credentials; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l site -d 'The site\'s folder [default: APT_CI_SITE, or searched upwards from here]' -r -F
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l queue -d 'amqps://USER@HOST/VHOST or local:PATH [default: APT_CI_QUEUE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l store -d 'swift:, swift:URL or folder:PATH [default: APT_CI_STORE, or the site\'s]' -r
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l color -d 'Colours: always, never, or auto (the default): on a terminal without NO_COLOR' -r -f -a "auto\t''
always\t''
never\t''"
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -l json -d 'Print JSON, the stable form for programs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -s q -l quiet -d 'Print less: no notes, no progress'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -s v -l verbose -d 'Log what happens; twice: in detail'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand completions" -s h -l help -d 'Print help'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "run" -d 'Request tests of packages'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "worker" -d 'Run the tests that wait in the queues, or steer the workers of this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "queues" -d 'Show the queues, or the requests of one; take requests out'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "running" -d 'Show what runs now, or follow the log of a test'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "cancel" -d 'End tests, on whatever host they run, or take requests out of their queues'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "retry" -d 'Run tests again: the same requests as those of past runs'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "retry-regressions" -d 'Run the tests again that keep new versions out of a release'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "results" -d 'Show results, newest first; explain, compare and count them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "index" -d 'Copy what the store tells about results into a file that answers at once'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "log" -d 'Show the log of a run, or of a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "artifacts" -d 'Show or unpack the artifacts of a run, or of a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "github" -d 'Test the pull requests of projects at GitHub, and show the results there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "gitlab" -d 'Test the merge requests of projects at GitLab, and show the results there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "serve" -d 'Take requests over the web, and test and report what GitHub and GitLab deliver'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "init" -d 'Make a new site: a git repository with a commented configuration'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "site" -d 'Trust sites that are found in the working directory'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "config" -d 'Show each setting with the place it comes from; passwords are hidden'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "credentials" -d 'Keep the site\'s secrets: passwords, tokens, hooks\' secrets'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "completions" -d 'Print the completions for a shell'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and not __fish_seen_subcommand_from run worker queues running cancel retry retry-regressions results index log artifacts github gitlab serve init site config credentials completions help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "explain" -d 'Show the command line, time limits and container of a package\'s test, and which line decided each'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "check" -d 'Tell what is wrong with worker.conf, the override files, this host\'s autopkgtest, the queue and the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "status" -d 'Show what the workers of this host do'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "stop" -d 'Let the workers of this host finish their tests, and end'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "reload" -d 'Make the workers of this host read worker.conf and the override files again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from worker" -f -a "cancel" -d 'End tests that run on this host'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "show" -d 'Show the requests of a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "remove" -d 'Remove requests that wait in a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "purge" -d 'Remove everything that waits in a queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "dedupe" -d 'Remove requests that ask for the same test as one before them in the queue'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "supersede" -d 'Remove requests that a newer one in the queue makes needless'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "move" -d 'Move what waits in a queue to the end of another'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from queues" -f -a "dead" -d 'Show dead letters with their reasons, put them back, or remove them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "show" -d 'Show everything about a run, or about a package\'s latest one'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "diff" -d 'Compare two runs: versions, triggers, packages in the testbed, tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "blame" -d 'Find out what broke a package\'s tests'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "flaky" -d 'Show tests that both passed and failed with the same versions'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "stats" -d 'Count runs by release, architecture and day'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "expire" -d 'Remove old runs from the store'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from results" -f -a "drop-release" -d 'Remove a release with all of its results, those with PPAs and private ones included'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from index" -f -a "export" -d 'Write the database that proposed-migration and web pages read, with its checksum in FILE.sha256'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "add-hook" -d 'Have a project\'s pull requests tested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "list-hooks" -d 'Show the hooks: those that are declared, whether they are at the forge, and how their last delivery ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "remove-hook" -d 'Test a project\'s pull requests no more'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "rotate-secret" -d 'Give a project\'s hooks another secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "set-token" -d 'Store the token that a project\'s statuses are set with'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "retry" -d 'Test a pull request again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "status" -d 'Show the tests of a pull request: what the forge shows, and where their requests and results are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "sync" -d 'Make the forge agree with what the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from github" -f -a "reconcile" -d 'Close the statuses that are pending although their tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "add-hook" -d 'Have a project\'s pull requests tested'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "list-hooks" -d 'Show the hooks: those that are declared, whether they are at the forge, and how their last delivery ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "remove-hook" -d 'Test a project\'s pull requests no more'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "rotate-secret" -d 'Give a project\'s hooks another secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "set-token" -d 'Store the token that a project\'s statuses are set with'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "retry" -d 'Test a pull request again'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "status" -d 'Show the tests of a pull request: what the forge shows, and where their requests and results are'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "sync" -d 'Make the forge agree with what the site declares'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from gitlab" -f -a "reconcile" -d 'Close the statuses that are pending although their tests have ended'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from site" -f -a "trust" -d 'Trust a site, or list the trusted ones'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from site" -f -a "untrust" -d 'Stop trusting a site'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "list" -d 'Show which secrets there are, without them'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "set" -d 'Store a secret: a new one, or another one for a name'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "rotate" -d 'Replace a secret that is there'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "bind" -d 'Bind secrets from before they were bound to a server, or whose server or readers have changed'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "show" -d 'Show what is known about a secret'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "remove" -d 'Remove a secret; what git has kept of it stays in its history, encrypted'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "import" -d 'Take over the secrets of github-secrets.json or github-status-credentials.txt'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "export" -d 'Write github-secrets.json or github-status-credentials.txt, for its owner alone'
complete -c apt-ci -n "__fish_apt_ci_using_subcommand help; and __fish_seen_subcommand_from credentials" -f -a "recipients" -d 'Show and change whose SSH keys open the secrets'
