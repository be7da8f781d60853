// The real bucket that these tests need: `Tests/engines/run swift test …` starts it.

import Foundation
import Logging
import S3Client

/// Where the S3 service is.
enum Engines {
    struct Missing: Error, CustomStringConvertible {
        let description = "BLOBD_TEST_S3_… name no bucket. Run these tests by `Tests/engines/run swift test …`."
    }

    /// The bucket that all tests share: no two of them use the same key.
    ///
    /// - Parameter isAlone: whether it is the other bucket, for a test that deletes objects that are not its own.
    static func bucket(isAlone: Bool = false) throws -> S3Bucket {
        let credentials = S3Configuration.Credentials(
            accessKey: try setting("ACCESS_KEY"), secretKey: try setting("SECRET_KEY")
        )
        return try S3Bucket(
            S3Configuration(
                endpoint: try setting("ENDPOINT"), bucket: try setting("BUCKET") + (isAlone ? "-alone" : ""),
                credentials: credentials
            ),
            logger: Logger(label: "test")
        )
    }

    private static func setting(_ name: String) throws -> String {
        guard let value = ProcessInfo.processInfo.environment["BLOBD_TEST_S3_" + name] else { throw Missing() }
        return value
    }
}
