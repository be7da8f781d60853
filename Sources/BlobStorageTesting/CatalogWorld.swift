// The world of the random test of catalogs: the model, and the operations so far.

import BlobCore
import BlobStorage

import struct Foundation.Date

/// The model of a catalog under test, and the names under which its rows can be found in both.
struct CatalogWorld {
    /// The leases of one claim, as they were made or advanced, perhaps long ago.
    struct Claim: Sendable {
        let model: Lease
        let backend: Lease
    }

    let clock: ManualClock
    private var model: InMemoryCatalog
    private var secret: [UInt8]?
    /// The oldest is forgotten first: looking at everything has to stay quick.
    private(set) var uploads: [UploadID] = []
    private(set) var claims: [Claim] = []
    /// By their identities in the model. A backend may give others, in the same order.
    private(set) var files: [FileID] = []
    private(set) var digests: [BlobDigest] = []
    private var modelIDs: [FileID: FileID] = [:]
    private var backendIDs: [FileID: FileID] = [:]

    private static let memory = 40

    init(clock: ManualClock) {
        self.clock = clock
        model = InMemoryCatalog(clock: clock)
    }

    func isLive(_ id: UploadID) -> Bool {
        (try? model.upload(id)) != nil
    }

    func owner(of id: UploadID) -> Subject? {
        (try? model.upload(id))?.owner
    }

    mutating func restart() {
        model = model.restarted()
    }
}

// MARK: Operations

extension CatalogWorld {
    /// Does the same to both and compares the outcomes.
    mutating func apply(_ operation: CatalogOperation, to backend: some Catalog) async throws {
        switch operation {
        case .create(let id, let owner, let name, let isTemporary, let path, let lifetime, let limit, let quota):
            let upload = Upload(
                id: id, owner: owner, name: name.map(FileName.init(trusted:)), isTemporary: isTemporary,
                path: path.map(RelativePath.init(trusted:)), expires: clock.time(in: lifetime)
            )
            try await create(upload, limit: limit, quota: quota, in: backend)
        case .claim(let id, let owner): try await claim(id, of: owner, in: backend)
        case .advance(let claim, let text, let lifetime, let announcing, let quota):
            try await advance(
                claims[claim], adding: text, for: lifetime, announcing: announcing, quota: quota, in: backend)
        case .complete(let claim, let text, let lifetime, let quota):
            try await complete(claims[claim], adding: text, for: lifetime, quota: quota, in: backend)
        case .announce(let id, let offset): try await both(backend) { try await $0.announce(offset, of: id) }
        case .fail(let claim):
            let claim = claims[claim]
            try model.fail(claim.model)
            try await backend.fail(claim.backend)
        case .destroy(let id, let owner): try await both(backend) { try await $0.destroy(id, of: owner) }
        case .destroyFile(let id, let owner): try await destroyFile(id, of: owner, in: backend)
        case .list(let query): try await compareList(query, with: backend)
        case .removeExpired:
            try await both(backend) { try await $0.removeExpired(limit: 10_000) }
        case .removeBlob(let digest, let grace):
            try await both(backend) { try await $0.removeBlob(digest, dyingFor: grace) }
        case .createToken(let name, let subject, let secret, let scopes, let lifetime):
            let token = AccessToken(
                name: name, subject: subject, scopes: Set(scopes), created: clock.now,
                expires: lifetime.map { clock.time(in: $0) }
            )
            try await both(backend) { try await $0.createToken(token, secretDigest: BlobDigest(ofText: secret)) }
        case .useToken(let secret, let hour):
            try await both(backend) { try await $0.recordUse(ofToken: BlobDigest(ofText: secret), in: hour) }
            try await both(backend) { try await $0.tokens() }
        case .revokeToken(let name): try await both(backend) { try await $0.revokeToken(named: name) }
        case .moveClock(let duration): clock.advance(by: duration)
        case .restart: break
        }
        try await compareNumbers(with: backend)
    }

    /// Makes a call that returns the same from both.
    private func both<Value: Equatable & Sendable>(
        _ backend: any Catalog, _ call: (any Catalog) async throws -> Value
    ) async throws {
        let expected = try await Outcome { try await call(model) }
        try compare("the outcome", expected: expected, actual: try await Outcome { try await call(backend) })
    }

    private func both(_ backend: any Catalog, _ call: (any Catalog) async throws -> Void) async throws {
        let expected = try await Outcome(ofVoid: { try await call(model) })
        try compare("the outcome", expected: expected, actual: try await Outcome(ofVoid: { try await call(backend) }))
    }

    private mutating func create(
        _ upload: Upload, limit: Int, quota: Int64?, in backend: any Catalog
    ) async throws {
        try await both(backend) { try await $0.create(upload, openUploadLimit: limit, quota: quota) }
        if isLive(upload.id) { Self.remember(upload.id, in: &uploads) }
    }

    private mutating func claim(_ id: UploadID, of owner: Subject, in backend: any Catalog) async throws {
        let expected = try await Outcome { try model.claim(id, of: owner) }
        let actual = try await Outcome { try await backend.claim(id, of: owner) }
        // By how much a claim raises the epoch is the backend's choice.
        try compare("the claim", expected: expected.map(\.upload), actual: actual.map(\.upload))
        try compare(
            "the file", expected: expected.map(\.file), actual: try actual.map { try $0.file.map(inModelTerms) })
        if case .open(let model)? = expected.value, case .open(let backend)? = actual.value {
            Self.remember(Claim(model: model, backend: backend), in: &claims)
        }
    }

    private mutating func advance(
        _ claim: Claim, adding text: String, for lifetime: Duration, announcing: Bool, quota: Int64?,
        in backend: any Catalog
    ) async throws {
        let (digest, expires) = (claim.model.upload.digest(adding: text), clock.time(in: lifetime))
        let expected = try await Outcome {
            try model.advance(claim.model, to: digest, expires: expires, announcing: announcing, quota: quota)
        }
        let actual = try await Outcome {
            try await backend.advance(
                claim.backend, to: digest, expires: expires, announcing: announcing, quota: quota)
        }
        try compare(
            "the advanced upload", expected: lenient(expected, of: claim).map(\.upload),
            actual: lenient(actual, of: claim).map(\.upload)
        )
        if let model = expected.value, let backend = actual.value {
            Self.remember(Claim(model: model, backend: backend), in: &claims)
        }
    }

    private mutating func complete(
        _ claim: Claim, adding text: String, for lifetime: Duration, quota: Int64?, in backend: any Catalog
    ) async throws {
        let digest = claim.model.upload.digest(adding: text)
        let expires = claim.model.upload.isTemporary ? clock.time(in: lifetime) : nil
        // Before the call: a completion that succeeds closes the upload.
        let wasOpen = isOpen(claim)
        let kept = clock.time(in: lifetime)
        let expected = try await Outcome {
            try model.complete(claim.model, with: digest, expires: kept, fileExpires: expires, quota: quota)
        }
        let actual = try await Outcome {
            try await backend.complete(
                claim.backend, with: digest, expires: kept, fileExpires: expires, quota: quota)
        }
        if let file = expected.value, let other = actual.value {
            modelIDs[other.id] = file.id
            backendIDs[file.id] = other.id
            Self.remember(file.id, in: &files)
            Self.remember(file.digest, in: &digests)
        }
        try compare(
            "the completed file", expected: lenient(expected, if: !wasOpen),
            actual: try lenient(actual, if: !wasOpen).map(inModelTerms)
        )
    }

    private func destroyFile(_ id: FileID, of owner: Subject?, in backend: any Catalog) async throws {
        guard let other = backendIDs[id] else { return }
        let expected = try await Outcome(ofVoid: { try model.destroyFile(id, of: owner) })
        let actual = try await Outcome(ofVoid: { try await backend.destroyFile(other, of: owner) })
        try compare("the outcome", expected: expected, actual: actual)
    }
}

// MARK: Comparing

extension CatalogWorld {
    /// Compares all that both catalogs show.
    mutating func compareEverything(with backend: some Catalog) async throws {
        let key = try await backend.secret()
        if let secret { try compare("the key", expected: secret, actual: key) }
        secret = key
        for id in uploads {
            let expected = try model.upload(id)
            let actual = try await backend.upload(id).map(inModelTerms)
            try compare("the upload \(id)", expected: expected, actual: actual)
        }
        for id in files {
            guard let other = backendIDs[id] else { continue }
            let actual = try await backend.file(other).map(inModelTerms)
            try compare("the file \(id.value)", expected: try model.file(id), actual: actual)
        }
        for digest in digests {
            try compare(
                "the blob \(digest)", expected: try await model.blob(digest), actual: try await backend.blob(digest))
        }
        for grace in [Duration.zero, .seconds(10), .seconds(60)] {
            let actual = Set(try await backend.dyingBlobs(for: grace, limit: 10_000))
            try compare("dying blobs", expected: Set(try model.dyingBlobs(for: grace, limit: 10_000)), actual: actual)
        }
        try compare("the tokens", expected: try model.tokens(), actual: try await backend.tokens())
        for secret in ["x", "y", "z"] {
            let actual = try await backend.token(secretDigest: BlobDigest(ofText: secret))
            try compare(
                "a token", expected: try model.token(secretDigest: BlobDigest(ofText: secret)), actual: actual
            )
        }
        try await compareList(FileQuery(top: 10_000), with: backend)
        try await compareNumbers(with: backend)
    }

    private func compareList(_ query: FileQuery, with backend: any Catalog) async throws {
        let page = try await backend.files(query)
        let actual = FilePage(
            count: page.count, items: try page.items.map(inModelTerms), next: try page.next.map(inModelTerms))
        try compare("the list of \(query)", expected: try model.files(query), actual: actual)
        // The cursor is the backend's: its ids are others than the model's.
        guard let cursor = page.next, let modelCursor = actual.next else { return }
        let following = try await backend.files(
            FileQuery(owner: query.owner, search: query.search, after: cursor, top: query.top))
        let modelFollowing = try model.files(
            FileQuery(owner: query.owner, search: query.search, after: modelCursor, top: query.top))
        try compare(
            "what follows \(query)", expected: modelFollowing.items,
            actual: try following.items.map(inModelTerms))
    }

    private func inModelTerms(_ cursor: FileCursor) throws -> FileCursor {
        guard let id = modelIDs[cursor.id] else {
            throw Divergence.Difference(
                subject: "a cursor", expected: "one of a file that was completed", actual: "\(cursor)")
        }
        return FileCursor(place: cursor.place, id: id, isDescending: cursor.isDescending)
    }

    private func compareNumbers(with backend: any Catalog) async throws {
        for subject in Subject.everybody {
            let actual = try await backend.usage(of: subject)
            try compare("the usage of \(subject)", expected: try model.usage(of: subject), actual: actual)
        }
        try compare("statistics", expected: try model.statistics(), actual: try await backend.statistics())
    }

    /// The file with its identity in the model.
    private func inModelTerms(_ file: File) throws -> File {
        guard let id = modelIDs[file.id] else {
            throw Divergence.Difference(subject: "a file", expected: "one that was completed", actual: "\(file)")
        }
        return File(
            id: id, digest: file.digest, owner: file.owner, name: file.name, size: file.size,
            path: file.path, created: file.created, expires: file.expires
        )
    }

    /// The upload with its file's identity in the model.
    private func inModelTerms(_ upload: Upload) throws -> Upload {
        var upload = upload
        if case .completed(let file) = upload.state { upload.state = .completed(try inModelTerms(file)) }
        return upload
    }

    private func isOpen(_ claim: Claim) -> Bool {
        guard let upload = try? model.upload(claim.model.id) else { return true }
        return upload.state == .open
    }

    private func lenient<Value>(_ outcome: Outcome<Value>, of claim: Claim) -> Outcome<Value> {
        lenient(outcome, if: !isOpen(claim))
    }

    /// Which of its reasons a write to a completed or failed upload is refused for is the backend's choice.
    private func lenient<Value>(_ outcome: Outcome<Value>, if isOver: Bool) -> Outcome<Value> {
        switch outcome {
        case .refused(.uploadUnknown) where isOver, .refused(.uploadFailed) where isOver: .refused(.uploadSuperseded)
        default: outcome
        }
    }
}

// MARK: Remembering

extension CatalogWorld {
    private static func remember<Element>(_ element: Element, in elements: inout [Element]) {
        elements.append(element)
        if elements.count > memory { elements.removeFirst() }
    }
}

extension Upload {
    /// The digest of its bytes with a text at their end.
    fileprivate func digest(adding text: String) -> RunningDigest {
        var digest = digest
        Array(text.utf8).withUnsafeBytes { digest.update($0) }
        return digest
    }
}

extension Claimed {
    fileprivate var upload: Upload? {
        if case .open(let lease) = self { lease.upload } else { nil }
    }

    fileprivate var file: File? {
        if case .completed(let file) = self { file } else { nil }
    }
}
