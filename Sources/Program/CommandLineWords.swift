// Whether the words of the command line are known.

import Glibc

/// Ends a program that cannot know what it was asked to do, with a sentence and the exit code 1. To be called before
/// anything else: where `/proc` is not mounted, libdispatch ends the process soon after it has started a thread.
///
/// A process always has its own name as the first word. Swift's runtime reads the words from `/proc/self/cmdline`, and
/// where `/proc` is not mounted it finds none: every command line would look like the one without a command.
public func requireCommandLine(of program: String) {
    guard CommandLine.arguments.isEmpty else { return }
    Console.complain(
        "the command line cannot be read, because /proc is not mounted here: mount it ('mount -t proc proc /proc', in a "
            + "chroot on its own proc folder), and run this again", as: program)
    exit(1)
}
