// The outcome of a call, in a form that can be compared.

import BlobCore

/// The value that a call returned, or the reason of the error that it threw.
enum Outcome<Value: Equatable & Sendable>: Equatable, Sendable {
    case returned(Value)
    case refused(BlobError.Reason)

    /// Makes a call. Errors that are no ``BlobError`` are not the call's to throw, and pass through.
    init(of call: () async throws -> Value) async throws {
        do {
            self = .returned(try await call())
        } catch let error as BlobError {
            if case .tooManyUploads = error.reason {
                // How far open uploads are counted is the backend's choice.
                self = .refused(.tooManyUploads(open: 0))
            } else {
                self = .refused(error.reason)
            }
        }
    }

    func map<Other>(_ transform: (Value) throws -> Other) rethrows -> Outcome<Other> {
        switch self {
        case .returned(let value): .returned(try transform(value))
        case .refused(let reason): .refused(reason)
        }
    }

    var value: Value? {
        if case .returned(let value) = self { value } else { nil }
    }
}

extension Outcome<Bool> {
    /// Makes a call that returns nothing; `true` stands for that.
    init(ofVoid call: () async throws -> Void) async throws {
        try await self.init {
            try await call()
            return true
        }
    }
}

/// Throws the difference when there is one.
func compare<Value: Equatable>(_ subject: String, expected: Value, actual: Value) throws {
    guard expected != actual else { return }
    throw Divergence.Difference(subject: subject, expected: "\(expected)", actual: "\(actual)")
}
