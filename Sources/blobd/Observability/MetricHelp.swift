// The meanings of the server's metrics.

/// The HELP lines, by the name of the metric. A metric that is not here is shown without one.
enum MetricHelp {
    static let texts = [
        "blobd_http_requests_total": "Requests answered.",
        "blobd_http_request_duration_seconds": "Time from a request's head to the end of its answer.",
        "blobd_http_received_bytes_total": "Bytes of request bodies received.",
        "blobd_http_sent_bytes_total": "Bytes of response bodies sent, of answers that were sent to their end.",
        "blobd_fsync_duration_seconds": "Time that making bytes durable took.",
        "blobd_commit_duration_seconds": "Time that a transaction of the catalog took.",
        "blobd_uploads_open": "Uploads that are neither completed nor expired.",
        "blobd_blobs": "Blobs held.",
        "blobd_files": "Files held.",
        "blobd_blob_bytes": "Bytes of all blobs, each counted once.",
        "blobd_reclaimed_total": "Uploads, files, blobs and bytes without a row that were let go of.",
        "blobd_reclaim_failures_total": "What could not be removed and was left for the next round.",
        "blobd_damaged_blobs_total": "Blobs found damaged since the start.",
        "blobd_disk_free_bytes": "Free bytes of the disk that holds the data.",
        "blobd_postgres_connections": "Connections to the database.",
        "blobd_postgres_connections_in_use": "Connections that run a statement.",
        "blobd_audit_log_writable": "Whether the audit log can be written; changes are refused while it cannot.",
        "blobd_postgres_calls_waiting": "Statements that wait for a connection.",
    ]
}
