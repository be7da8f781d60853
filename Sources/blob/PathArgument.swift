// The names of local files on the command line, to the byte.

import ArgumentParser
import SystemPackage

/// File names are bytes. Those that are no UTF-8 reach a Swift program repaired, with `U+FFFD` in the place of the
/// other bytes; here they are looked up among the words that the process was given.
enum PathArgument {
    /// - Throws: ``UsageProblem`` where two different words look alike once they are repaired.
    static func paths(_ words: [String]) throws(UsageProblem) -> [FilePath] {
        var paths: [FilePath] = []
        for word in words { paths.append(try path(word)) }
        return paths
    }

    static func path(_ word: String, among given: [FilePath] = given) throws(UsageProblem) -> FilePath {
        guard word.unicodeScalars.contains("\u{FFFD}") else { return FilePath(word) }
        let candidates = Set(given.filter { $0.string == FilePath(word).string })
        guard candidates.count <= 1 else {
            throw UsageProblem(
                "'\(DisplayText.safe(word))' is one of several names that differ in bytes which are no UTF-8: "
                    + "name each in a command of its own, or their folder with --recursive")
        }
        return candidates.first ?? FilePath(word)
    }

    /// All words of the command line.
    private static var given: [FilePath] {
        (0..<Int(CommandLine.argc)).compactMap { CommandLine.unsafeArgv[$0].map { FilePath(platformString: $0) } }
    }
}
