// Where everything is kept, as the settings say.

import Foundation

/// The settings of one of the two backends.
enum StorageSettings: Sendable {
    /// A directory, and bytes of its disk that uploads leave free.
    case local
    case cloud(CloudSettings)

    /// - Throws: ``SettingsError`` for settings that are missing or that belong to the other backend.
    init(_ effective: EffectiveSettings) throws(SettingsError) {
        switch effective.value(.storage, as: StorageKind.self) {
        case .local:
            // A forgotten 'storage: cloud' would quietly keep everything here.
            let given = Self.cloudSettings.filter { effective[$0].map { $0.origin != .standard } ?? false }
            let problems = given.map { setting in
                "\(effective.naming(setting)) is for the storage 'cloud': say so with storage, or leave it out"
            }
            guard problems.isEmpty else { throw SettingsError(problems) }
            self = .local
        case .cloud:
            let problems = Self.needed.filter { effective[$0] == nil }.map { setting in
                "\(setting.rawValue): the storage 'cloud' needs it: \(setting.row.summary)"
            }
            guard problems.isEmpty else { throw SettingsError(problems) }
            self = .cloud(CloudSettings(effective))
        }
    }

    private static let needed: [Setting] = [.database, .s3Bucket, .s3AccessKey, .s3SecretKey]
    private static let cloudSettings =
        needed + [
            .databaseConnections, .databasePreparedStatements, .s3Endpoint, .s3Region, .s3Addressing, .s3SessionToken,
            .s3CertificateAuthority, .restoreWindow, .redirectDownloads,
        ]
}

/// How to reach the database and the bucket.
struct CloudSettings: Sendable {
    let database: String
    let databaseConnections: Int
    let databasePreparedStatements: Bool
    let endpoint: URL?
    let region: String
    let bucket: String
    let addressing: S3AddressingChoice
    let accessKey: String
    let secretKey: String
    let sessionToken: String?
    /// The path of a file in PEM.
    let certificateAuthority: String?
    let restoreWindow: Duration
    let uploadExpiry: Duration

    /// - Parameter effective: has what the storage 'cloud' needs.
    fileprivate init(_ effective: EffectiveSettings) {
        database = effective.value(.database, as: SecretText.self).text
        databaseConnections = effective.value(.databaseConnections)
        databasePreparedStatements = effective.value(.databasePreparedStatements)
        endpoint = effective.optionalValue(.s3Endpoint).map { (url: ServiceURL) in url.url }
        region = effective.value(.s3Region, as: PlainName.self).text
        bucket = effective.value(.s3Bucket, as: PlainName.self).text
        addressing = effective.value(.s3Addressing)
        accessKey = effective.value(.s3AccessKey, as: PlainName.self).text
        secretKey = effective.value(.s3SecretKey, as: SecretText.self).text
        sessionToken = effective.optionalValue(.s3SessionToken).map { (token: SecretText) in token.text }
        certificateAuthority = effective.optionalValue(.s3CertificateAuthority)
        restoreWindow = effective.value(.restoreWindow)
        uploadExpiry = effective.value(.uploadExpiry)
    }
}
