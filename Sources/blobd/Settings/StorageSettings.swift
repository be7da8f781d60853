// Where everything is kept, as the settings say.

import Foundation

/// The settings of one of the two backends.
enum StorageSettings: Sendable {
    /// A directory, and bytes of its disk that uploads leave free.
    case local
    case cloud(CloudSettings)

    /// - Throws: ``SettingsError`` for settings that are missing or that belong to the other backend.
    init(_ effective: EffectiveSettings) throws(SettingsError) {
        self =
            switch try effective.storage(needing: CloudSettings.needed) {
            case .local: .local
            case .cloud: .cloud(CloudSettings(effective))
            }
    }
}

/// Where the rows alone are kept, for a command that needs no bytes, and so no key to them.
enum CatalogSettings: Sendable {
    case local
    case cloud(DatabaseSettings)

    /// - Throws: as those of all.
    init(_ effective: EffectiveSettings) throws(SettingsError) {
        self =
            switch try effective.storage(needing: DatabaseSettings.needed) {
            case .local: .local
            case .cloud: .cloud(DatabaseSettings(effective))
            }
    }
}

extension EffectiveSettings {
    /// - Parameter needed: the settings that the storage 'cloud' cannot do without.
    fileprivate func storage(needing needed: [Setting]) throws(SettingsError) -> StorageKind {
        let kind = value(.storage, as: StorageKind.self)
        let problems =
            switch kind {
            // A forgotten 'storage: cloud' would quietly keep everything here.
            case .local:
                CloudSettings.all.filter { self[$0].map { $0.origin != .standard } ?? false }.map { setting in
                    "\(naming(setting)) is for the storage 'cloud': say so with storage, or leave it out"
                }
            case .cloud:
                needed.filter { self[$0] == nil }.map { setting in
                    "\(setting.rawValue): the storage 'cloud' needs it: \(setting.row.summary)"
                }
            }
        guard problems.isEmpty else { throw SettingsError(problems) }
        return kind
    }
}

/// How to reach the database.
struct DatabaseSettings: Sendable {
    let url: String
    let connections: Int
    let preparedStatements: Bool

    static let needed: [Setting] = [.database]

    /// - Parameter effective: the settings in effect, with all that are needed.
    fileprivate init(_ effective: EffectiveSettings) {
        url = effective.value(.database, as: SecretText.self).text
        connections = effective.value(.databaseConnections)
        preparedStatements = effective.value(.databasePreparedStatements)
    }
}

/// How to reach the database and the bucket.
struct CloudSettings: Sendable {
    let database: DatabaseSettings
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

    static let needed = DatabaseSettings.needed + [.s3Bucket, .s3AccessKey, .s3SecretKey]
    /// Those that mean nothing to the other backend.
    static let all =
        needed + [
            .databaseConnections, .databasePreparedStatements, .s3Endpoint, .s3Region, .s3Addressing, .s3SessionToken,
            .s3CertificateAuthority, .restoreWindow, .redirectDownloads,
        ]

    /// - Parameter effective: the settings in effect, with all that are needed.
    fileprivate init(_ effective: EffectiveSettings) {
        database = DatabaseSettings(effective)
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
