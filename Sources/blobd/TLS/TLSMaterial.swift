// The certificate and key that the server shows, and how they stay fresh.

import BlobStorage
import Foundation
import Logging
import NIOCertificateReloading
import NIOSSL
import Program
import SwiftASN1
import Synchronization
import SystemPackage

/// The needs of a TLS listener.
struct TLSMaterial: Sendable {
    /// For the listener: TLS 1.2 at least, and for each handshake the newest certificate.
    let configuration: TLSConfiguration
    /// Looks at the files again every few seconds; run it as a service beside the listener. It reads two small files on
    /// Swift's pool, against the rule that nothing blocks there.
    let reloader: TimedCertificateReloader
    let certificatePath: String

    /// Reads a certificate chain and its key.
    ///
    /// - Parameter protocols: those of the listener, best first, for ALPN.
    /// - Throws: ``OperatorError`` when they cannot be read or do not fit together.
    init(
        certificatePath: String, keyPath: String, protocols: [String], refreshInterval: Duration = .seconds(10),
        logger: Logger
    ) throws(OperatorError) {
        self.certificatePath = certificatePath
        let failures = FailureMemory()
        let reloading = TimedCertificateReloader.Configuration(
            refreshInterval: refreshInterval,
            certificateSource: .init(location: Self.file(certificatePath, .unchangedByOthers), format: .pem),
            privateKeySource: .init(location: Self.file(keyPath, .readByGroup), format: .pem)
        ) { reloading in
            reloading.onCertificateLoaded = { change in
                failures.forget()
                guard let previous = change.previousX509CertificateChain,
                    previous != change.currentX509CertificateChain
                else { return }
                logger.notice("certificate read again", metadata: ["path": .string(certificatePath)])
            }
            reloading.onCertificateLoadFailed = { failure in
                let reason = Self.reason(failure.error)
                guard failures.isNew(reason) else { return }
                logger.warning(
                    "certificate not readable, going on with the last one",
                    metadata: ["path": .string(certificatePath), "reason": .string(reason)]
                )
            }
        }
        do {
            reloader = try TimedCertificateReloader.makeReloaderValidatingSources(configuration: reloading)
            var configuration = try TLSConfiguration.makeServerConfiguration(certificateReloader: reloader)
            configuration.minimumTLSVersion = .tlsv12
            configuration.cipherSuiteValues = Self.cipherSuites
            configuration.applicationProtocols = protocols
            // The listener's own use of it, tried once now, so that a bad chain is a clear failure of the start.
            _ = try NIOSSLContext(configuration: configuration)
            self.configuration = configuration
        } catch {
            throw OperatorError(
                "tls-certificate '\(certificatePath)' and tls-key '\(keyPath)' must be readable PEM files of a certificate "
                    + "and its key: \(Self.reason(error))"
            )
        }
    }

    /// In bytes.
    private static let longestFile = 1 << 20

    /// A file whose contents are believed only while nobody else can change it, whenever they are read.
    private static func file(_ path: String, _ protection: Protection) -> TimedCertificateReloader.Location {
        .memory {
            let bytes: [UInt8]?
            do throws(SmallFileError) {
                bytes = try readFile(at: FilePath(path), limit: longestFile, protection: protection)
            } catch .failed(let error) {
                throw OperatorError("\(path): \(error)")
            }
            guard let bytes else { throw OperatorError("there is no file \(path)") }
            return bytes
        }
    }

    /// With forward secrecy and authenticated encryption, whatever key the certificate has (RFC 9325 §4.2). The suites
    /// of TLS 1.3 are such, and always offered.
    private static let cipherSuites: [NIOTLSCipher] = [
        .TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, .TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        .TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, .TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        .TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, .TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ]

    /// The libraries' own words, where they are sentences.
    private static func reason(_ error: any Error) -> String {
        switch error {
        case is ASN1Error:
            "one of them holds something else, or is damaged; a key that is encrypted has to be decrypted first"
        case is NIOSSLError, is BoringSSLError: "TLS cannot use them"
        default: "\(error)".split(whereSeparator: \.isNewline).joined(separator: " ")
        }
    }

    /// The material that the settings ask for; `nil` for plaintext. The data directory must exist.
    init?(_ settings: Settings, protocols: [String], logger: Logger) throws {
        switch settings.transport {
        case .plaintext:
            return nil
        case .tls(let certificate, let key):
            try self.init(certificatePath: certificate, keyPath: key, protocols: protocols, logger: logger)
        case .selfSigned:
            let paths = try SelfSignedCertificate.keep(in: settings.data, hostName: machineName(), now: Date())
            try self.init(certificatePath: paths.certificate, keyPath: paths.key, protocols: protocols, logger: logger)
        }
    }
}

/// Remembers the last failure, so that one that stays is told once. The first reading is the start's, which tells its
/// failure itself.
private final class FailureMemory: Sendable {
    private enum State: Equatable {
        case starting
        case reading(failure: String?)
    }

    private let state = Mutex(State.starting)

    func isNew(_ failure: String) -> Bool {
        state.withLock { state in
            guard state != .starting, state != .reading(failure: failure) else { return false }
            state = .reading(failure: failure)
            return true
        }
    }

    func forget() { state.withLock { $0 = .reading(failure: nil) } }
}
