// Tries everything that a start of the server needs, and finds all obstacles at once.

import BlobStorage
import CloudBackend
import Foundation
import HTTPServerCore
import LocalBackend
import Logging
import NIOCore
import NIOPosix
import PostgresPool
import Program
import S3Client
import SystemPackage

/// A start of the server without serving: nothing is made or changed.
struct StartCheck {
    let settings: Settings
    let logger: Logger

    /// The findings, each a sentence.
    struct Findings: Equatable {
        /// The obstacles to a start of the server.
        var problems: [String] = []
        /// The things that could not be tried.
        var remarks: [String] = []
    }

    func run() async -> Findings {
        var findings = Findings()
        findings.problems += certificateProblems()
        if let path = settings.auditLog, path != "-", let error = AuditOutput.obstacle(at: FilePath(path)) {
            findings.problems.append(OperatorError(auditLog: path, error).description)
        }
        await lookForKeys(&findings)
        var server: DataDirectory.Server?
        switch settings.storage {
        case .local:
            findings.problems += DataDirectory.obstacles(toServing: FilePath(settings.data))
            server = try? blobd.server(of: settings.data)
        case .cloud(let cloud):
            findings.problems += await databaseProblems(cloud)
            findings.problems += await bucketProblems(cloud)
        }
        if let server {
            findings.remarks.append("the data directory is in use by its server (process \(server.process)) now")
        }
        switch await listenFailure() {
        case nil: break
        // Settings are tried before they are given to a server that runs, most of all.
        case let (failure, isTaken)? where isTaken && server != nil:
            findings.remarks.append("\(failure); that may be this very server")
        case let (failure, _)?: findings.problems.append(failure.description)
        }
        return findings
    }

    private func certificateProblems() -> [String] {
        let problems = settings.namedFiles.compactMap(\.problem)
        guard problems.isEmpty, case .tls(let certificate, let key) = settings.transport else { return problems }
        do throws(OperatorError) {
            _ = try TLSMaterial(
                certificatePath: certificate, keyPath: key, protocols: HTTPServer.applicationProtocols, logger: logger
            )
            return []
        } catch {
            return [error.description]
        }
    }

    private func lookForKeys(_ findings: inout Findings) async {
        // A file that cannot be read is among the files that are named already.
        guard let signIn = settings.signIn,
            settings.namedFiles.allSatisfy({ $0.setting != .jwtKeys || $0.problem == nil }),
            let problem = await signIn.keyProblem(logger: logger)
        else { return }
        // The server starts without a page that it cannot reach, and looks there again.
        if case .file = signIn.keys { findings.problems.append(problem) } else { findings.remarks.append(problem) }
    }

    /// - Returns: why the address cannot be listened on, and whether somebody else does.
    private func listenFailure() async -> (OperatorError, isTaken: Bool)? {
        do {
            let channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .bind(host: settings.listen.host, port: settings.listen.port).get()
            try await channel.close()
            return nil
        } catch {
            return (OperatorError(listening: error, on: settings.listen), (error as? IOError)?.errnoCode == EADDRINUSE)
        }
    }

    private func databaseProblems(_ cloud: CloudSettings) async -> [String] {
        do {
            let pool = try PostgresPool(url: cloud.database.url, connections: 1, logger: logger)
            let problem: String?
            do {
                try await CloudCatalog.checkCanServe(from: pool, logger: logger)
                problem = nil
            } catch {
                problem = sentence(of: error)
            }
            await pool.close()
            return problem.map { [$0] } ?? []
        } catch {
            return ["database: \(error.message)"]
        }
    }

    private func bucketProblems(_ cloud: CloudSettings) async -> [String] {
        // It is among the files that are named already.
        guard settings.namedFiles.allSatisfy({ $0.setting != .s3CertificateAuthority || $0.problem == nil }) else {
            return []
        }
        do throws(S3Error) {
            let bucket = try S3Bucket(S3Configuration(cloud), logger: logger)
            let result: Result<Void, S3Error>
            do throws(S3Error) {
                result = .success(try await bucket.checkAccess())
            } catch {
                result = .failure(error)
            }
            await bucket.shutdown()
            try result.get()
            return []
        } catch {
            return ["the bucket: \(error.message)"]
        }
    }
}

/// A file that a setting names, and that the server only reads.
struct NamedFile {
    let setting: Setting
    let path: String
    let protection: Protection

    /// Why it cannot be read, and whether it is not there at all; `nil` where it can.
    private var error: Errno? {
        do {
            let file = try FileDescriptor.open(path, .readOnly, options: [.closeOnExec])
            try file.closeAfter { _ = try file.read(into: UnsafeMutableRawBufferPointer(start: nil, count: 0)) }
            return nil
        } catch {
            return error as? Errno
        }
    }

    var problem: String? { error.map { sentence($0) } ?? objection }

    /// Why it may be another's word; `nil` where it is not, or cannot be read.
    var objection: String? {
        protection.objection(to: FilePath(path)).map { "\(setting.rawValue): \($0)" }
    }

    /// The same for one that is not there. Permissions are left out: the caller may be another user than the server.
    var absence: String? {
        guard let error, [.noSuchFileOrDirectory, .notDirectory].contains(error) else { return nil }
        return sentence(error)
    }

    private func sentence(_ error: Errno) -> String {
        "\(setting.rawValue): the file '\(path)' cannot be read: \(error)"
    }
}

extension Settings {
    /// The files that the settings name, but for the data.
    var namedFiles: [NamedFile] {
        var files: [NamedFile] = []
        if case .tls(let certificate, let key) = transport {
            files += [
                NamedFile(setting: .tlsCertificate, path: certificate, protection: .unchangedByOthers),
                NamedFile(setting: .tlsKey, path: key, protection: .readByGroup),
            ]
        }
        if case .cloud(let cloud) = storage, let path = cloud.certificateAuthority {
            files.append(NamedFile(setting: .s3CertificateAuthority, path: path, protection: .unchangedByOthers))
        }
        if case .file(let path)? = signIn?.keys {
            files.append(NamedFile(setting: .jwtKeys, path: path, protection: .unchangedByOthers))
        }
        return files
    }
}
