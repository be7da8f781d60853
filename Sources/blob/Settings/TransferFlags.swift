// How patient the commands that move files are, and how fast they may be.

import ArgumentParser
import BlobClient

/// The flags of the commands that move files.
struct TransferFlags: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How often what may pass is tried again without a byte getting further, 0 to 1000.", valueName: "N"))
    var retries = 9

    @Option(
        help: ArgumentHelp(
            """
            How long to go on trying while the server is gone, busy or full, such as 30m or 2h; however many retries \
            that are.
            """, valueName: "TIME"))
    var wait: TimeSpan?

    @Option(
        help: ArgumentHelp(
            "Bytes in a second, of all files together, such as 500KiB; at least 16KiB.", valueName: "BYTES"))
    var limitRate: ByteCount?

    static let leastRate: Int64 = 16 << 10

    func validate() throws {
        guard (0...1000).contains(retries) else { throw ValidationError("--retries is a number from 0 to 1000.") }
        if let limitRate, limitRate.bytes < Self.leastRate {
            throw ValidationError("--limit-rate is at least 16KiB: what is slower looks like a broken connection.")
        }
    }

    /// For transfers with so many connections.
    func configuration(connections: Int) -> BlobServiceClient.Configuration {
        var configuration = BlobServiceClient.Configuration.ofThisProgram
        configuration.connectionLimit = max(configuration.connectionLimit, connections)
        configuration.retries.triesWithoutProgress = retries + 1
        if let wait { configuration.retries.leastTime = .seconds(wait.seconds) }
        configuration.rateLimit = limitRate?.bytes
        return configuration
    }
}

extension BlobServiceClient.Configuration {
    fileprivate static var ofThisProgram: Self {
        var configuration = Self()
        configuration.userAgent = "blob"
        return configuration
    }

    /// For a person who waits for one answer.
    static var asking: Self {
        var configuration = ofThisProgram
        configuration.retries.triesWithoutProgress = 3
        return configuration
    }
}
