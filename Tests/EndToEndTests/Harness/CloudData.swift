// The storage of a server when the tests run on that of many nodes: `E2E_STORAGE=cloud`, within `Tests/engines/run`.

import Foundation
import Logging
import S3Client

/// A schema of its own in the database, and a bucket that all servers share.
struct CloudData: Sendable {
    /// The settings of a server.
    let settings: [String: String]
    /// The URL of the database, which finds the schema.
    let database: String

    static let isChosen = ProcessInfo.processInfo.environment["E2E_STORAGE"] == "cloud"

    init() async throws {
        let environment = ProcessInfo.processInfo.environment
        func engine(_ name: String) throws -> String {
            guard let value = environment["BLOBD_TEST_\(name)"] else {
                throw Failure("start the engines: E2E_STORAGE=cloud Tests/engines/run swift test …")
            }
            return value
        }
        let server = try engine("POSTGRES")
        let schema = "e2e_" + UUID().uuidString.lowercased().replacing("-", with: "")
        let made = try await ChildProcess.run(["psql", "-qc", "CREATE SCHEMA \(schema)", server], in: "/")
        guard made.end == .code(0) else { throw Failure("psql ended with \(made.end): \(made.errors)") }
        database = "\(server)?options=-csearch_path%3D\(schema)"
        settings = [
            "BLOBD_STORAGE": "cloud", "BLOBD_DATABASE": database, "BLOBD_DATABASE_CONNECTIONS": "4",
            "BLOBD_S3_ENDPOINT": try engine("S3_ENDPOINT"), "BLOBD_S3_BUCKET": try engine("S3_BUCKET"),
            "BLOBD_S3_ACCESS_KEY": try engine("S3_ACCESS_KEY"), "BLOBD_S3_SECRET_KEY": try engine("S3_SECRET_KEY"),
        ]
    }

    /// The one value that a query has; empty for NULL.
    func value(_ query: String) async throws -> String {
        let outcome = try await ChildProcess.run(["psql", "-qAtc", query, database], in: "/")
        guard outcome.end == .code(0) else { throw Failure("psql ended with \(outcome.end): \(outcome.errors)") }
        return outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// All rows, as SQL; bytes are in hexadecimal digits.
    func dump() async throws -> String {
        let schema = try await value("SELECT current_schema()")
        let outcome = try await ChildProcess.run(["pg_dump", "-n", schema, database], in: "/")
        guard outcome.end == .code(0) else { throw Failure("pg_dump ended with \(outcome.end): \(outcome.errors)") }
        return outcome.output
    }

    /// Makes the tables as older versions of the server made them: scripts of `Tests/schemas`.
    func run(scripts: [String]) async throws {
        for name in scripts {
            let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/../../schemas/\(name).sql"
            let outcome = try await ChildProcess.run(
                ["psql", "-qv", "ON_ERROR_STOP=1", "--single-transaction", "-f", path, database], in: "/")
            guard outcome.end == .code(0) else { throw Failure("psql ended with \(outcome.end): \(outcome.errors)") }
        }
    }

    /// The one number that a query has; 0 for NULL.
    func number(_ query: String) async throws -> Int { Int(try await value(query)) ?? 0 }

    /// The object that holds the last bytes of a blob.
    func lastKey(of digest: String) async throws -> String {
        try await value(
            """
            SELECT 'segments/' || upload || '/' || name FROM contents JOIN pieces ON content = id
                WHERE digest = '\\x\(digest)' AND state = 1 ORDER BY start DESC LIMIT 1
            """)
    }

    /// The bucket itself, past the server.
    func withBucket(_ body: (S3Bucket) async throws -> Void) async throws {
        func setting(_ name: String) -> String { settings["BLOBD_S3_" + name] ?? "" }
        let bucket = try S3Bucket(
            S3Configuration(
                endpoint: setting("ENDPOINT"), bucket: setting("BUCKET"),
                credentials: S3Configuration.Credentials(
                    accessKey: setting("ACCESS_KEY"), secretKey: setting("SECRET_KEY"))),
            logger: Logger(label: "test"))
        do {
            try await body(bucket)
        } catch {
            await bucket.shutdown()
            throw error
        }
        await bucket.shutdown()
    }
}
