// What the bucket's errors mean to a caller, in one place.

import BlobCore
import BlobStorage
import Logging
import NIOCore
import S3Client

extension CloudByteStore {
    /// Calls the bucket, and classifies its error.
    func settled<Value>(
        _ call: (S3Bucket) async throws(S3Error) -> Value
    ) async -> Result<Value, BlobError> {
        do throws(S3Error) {
            return .success(try await call(bucket))
        } catch {
            return .failure(refusal(error))
        }
    }

    /// Lets go of the parts of an object that is not to be. Any left are found by the search for strays.
    func abandon(_ upload: S3MultipartUpload) async {
        try? await bucket.abortMultipartUpload(upload)
    }

    /// Classifies an error of a call that reads an object which has to be there.
    func reading(_ error: S3Error) -> BlobError {
        guard error.tellsOfDamage else { return refusal(error) }
        logger.critical("an object is not what its row says", metadata: ["error": "\(error)"])
        return .blobCorrupt
    }

    /// Records that an object of a blob is not the one of its row. Without effect when other bytes have come in the
    /// place of this content.
    ///
    /// - Returns: what a client is told.
    func suspect(
        _ content: StoredContent, of digest: BlobDigest, after error: S3Error
    ) async throws(BlobError) -> BlobError {
        _ = try await database.setCondition(.suspected, of: digest, at: content)
        return reading(error)
    }

    /// Classifies an error, and logs those that somebody has to act on.
    func refusal(_ error: S3Error) -> BlobError {
        switch error.kind {
        case .throttled:
            return BlobError(.unavailable(.bucketBusy))
        case .badRequest where error.code == "QuotaExceeded", .entityTooLarge:
            logger.error("the bucket is full", metadata: ["error": "\(error)"])
            return BlobError(.insufficientStorage(.bucket))
        case .unreachable, .timeout, .serverError, .cancelled:
            logger.warning("the bucket cannot be used now", metadata: ["error": "\(error)"])
        default:
            logger.error("the bucket refuses a request", metadata: ["error": "\(error)"])
        }
        return .bucketUnreachable
    }

    func unavailable(_ error: any Error) -> BlobError {
        logger.warning("reading from the bucket failed", metadata: ["error": "\(error)"])
        return .bucketUnreachable
    }
}

extension S3Error {
    /// Whether it says that an object is gone, or another one than its row speaks of.
    var tellsOfDamage: Bool { [.notFound, .invalidRange, .preconditionFailed].contains(kind) }
}

extension BlobError {
    static let bucketUnreachable = BlobError(.unavailable(.bucketUnreachable))
}
