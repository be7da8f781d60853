// Taking the tokens of an issuer, put together from the settings.

import BlobStorage
import Logging
import NIOPosix
import OIDC
import Program
import SystemPackage

extension SignInSettings {
    /// What takes the issuer's tokens. It has looked for the keys.
    ///
    /// - Throws: ``OperatorError`` when a file holds none. A page that cannot be read now is no reason not to serve.
    func signedTokens(clock: any WallClock, logger: Logger) async throws -> Authenticator.SignedTokens {
        let source = keySource(clock: clock, logger: logger)
        if let fault = await source.prepare(), case .file = keys { throw OperatorError(keyless(for: fault)) }
        return TokenVerifier(policy: policy, keys: source, clock: clock).caller(token:)
    }

    /// - Returns: why there are no keys; `nil` where there are.
    func keyProblem(logger: Logger) async -> String? {
        await keySource(clock: SystemClock(), logger: logger).prepare().map(keyless)
    }

    private func keySource(clock: any WallClock, logger: Logger) -> KeySource {
        KeySource(algorithms: algorithms, clock: clock, logger: logger, load: keys.load)
    }

    private func keyless(for fault: String) -> String {
        switch keys {
        case .file(let path): "jwt-keys: the file '\(path)' has no keys of the issuer: \(fault)"
        case .page(let url): "jwt-keys: '\(url)' shows no keys of the issuer now: \(fault)"
        }
    }
}

extension KeyPlace {
    /// In bytes.
    private static let longestFile = 1 << 20

    fileprivate var load: KeySource.Load {
        switch self {
        case .page(let url): KeyPage(url: url).read
        case .file(let path):
            {
                // Whatever blocks, blocks a thread of its own.
                let bytes = try await NIOThreadPool.singleton.runIfActive {
                    try readFile(at: FilePath(path), limit: Self.longestFile, protection: .unchangedByOthers)
                }
                guard let bytes else { throw Errno.noSuchFileOrDirectory }
                return bytes
            }
        }
    }
}
