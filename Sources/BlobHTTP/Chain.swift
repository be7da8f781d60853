// The one way through the server, from a request to its answer, and the order of what stands on it.

import BlobCore
public import BlobStorage
public import HTTPServerCore
import HTTPTypes
import Logging

/// Limits → rates → admission → endpoint → cross-origin and common headers → record.
///
/// Every answer leaves by ``leave(_:to:_:)``: those of endpoints, whether they wait or not, and refusals.
public struct Chain: Responder {
    /// In the order in which requests pass them; answers pass them the other way round.
    private let filters: [any Filter]
    private let router: Router
    private let admission: Admission
    private let limits: RateLimits?
    private let log: RequestLog
    private let audit: Audit?

    /// - Parameters:
    ///   - surfaces: all that can be asked for.
    ///   - address: whose path may stand before those of requests.
    ///   - isReadOnly: whether every change is refused.
    ///   - limits: `nil` for none.
    ///   - origins: whose pages may use the server; `nil` to leave that to a proxy.
    ///   - audit: keeps records of changes and of refused callers; `nil` to keep none.
    public init(
        _ surfaces: [any Surface], at address: PublicAddress = .untold, authenticator: Authenticator, isReadOnly: Bool,
        limits: RateLimits? = nil, origins: AllowedOrigins? = nil, log: RequestLog, audit: Audit? = nil
    ) {
        let origins: [any Filter] = origins.map { [CrossOriginAccess(origins: $0)] } ?? []
        filters = [CommonHeaders()] + origins + [RequestLimits()]
        router = Router(surfaces.flatMap(\.endpoints), at: address)
        admission = Admission(authenticator: authenticator, isReadOnly: isReadOnly, audit: audit)
        self.limits = limits
        self.log = log
        self.audit = audit
    }

    public func answer(to request: Request) -> Answering {
        do {
            for filter in filters { try filter.admit(request) }
            let (endpoint, captures) = try router.endpoint(for: request)
            request.record.operation = endpoint.operation
            if endpoint.isLimited { try limits?.admit(request.record.client) }
            if let answer = try endpoint.immediate?(request, captures) { return .now(leave(answer, to: request)) }
            let executor = endpoint.runsOnEventLoop ? request.eventLoop.map(EventLoopExecutor.init) : nil
            return .later(on: executor) {
                var reply: Response
                do {
                    reply = try await answer(to: request, endpoint, captures)
                } catch {
                    reply = refusing(error, request.record)
                }
                do {
                    try await audit?.record(endpoint.event, of: request.record, reply.status)
                } catch {
                    reply = refusing(error, request.record)
                }
                return leave(reply, to: request)
            }
        } catch {
            return .now(leave(refusing(error, request.record), to: request))
        }
    }

    private func answer(
        to request: Request, _ endpoint: Endpoint, _ captures: Captures
    ) async throws -> Response {
        switch endpoint.handler {
        case .open(let answer): return try await answer(request, captures)
        case .signedIn(let scope, let answer):
            let caller = try await admission.caller(of: request, with: scope, isChange: endpoint.isChange)
            if endpoint.isLimited { try limits?.admit(caller.subject) }
            return try await answer(request, captures, caller)
        }
    }

    public func answer(to refusal: Refusal, _ record: RequestRecord) -> Response {
        leave(refusing(WireError(refusal), record), to: nil, record)
    }

    /// Answers what was thrown on the way, whoever threw it.
    private func refusing(_ thrown: any Error, _ record: RequestRecord) -> Response {
        let error = WireError(thrown: thrown)
        let row = error.kind.row
        record.failure = RequestRecord.Failure(
            // An error without words for a client has some for an operator.
            code: row.code.rawValue, message: error.kind == .internalError ? "\(thrown)" : error.message,
            isServers: row.status.kind == .serverError || error.kind == .uploadFailed
        )
        if case .tokenInvalid(let fault)? = (thrown as? BlobError)?.reason { record.note("refused", fault.rawValue) }
        return Response(error)
    }

    private func leave(_ answer: Response, to request: Request) -> Response {
        leave(answer, to: request, request.record)
    }

    private func leave(_ answer: Response, to request: Request?, _ record: RequestRecord) -> Response {
        var answer = answer
        for filter in filters.reversed() { filter.complete(&answer, to: request, record) }
        return answer
    }

    public func ended(_ request: EndedRequest) {
        log.record(request)
    }
}

/// A part of the API with its own list of operations.
public protocol Surface: Sendable {
    var endpoints: [Endpoint] { get }
}
