/**
 * The limits of a request at the HTTP edge. Each is checked before the part that it limits is parsed. Later parsers
 * have their own limits: elements of a body `core/kube/wire/element_budget.ts`, nesting `core/kube/json_value.ts`,
 * collected errors `core/kube/status/field_error.ts`, selectors within a body `core/kube/rules/reviews.ts`, the DER of
 * a request `core/request/parse_request.ts`, the size of an object `server/storage/transaction.ts`. The table in
 * docs/engineering/threat_model.md lists all of them.
 */

/**
 * The longest request target in characters, which also limits its path, query and selectors. kube-apiserver accepts a
 * megabyte. The longest targets of its clients, with a continue token or a selector of node names, take a few
 * kilobytes.
 */
export const MAX_TARGET_LENGTH = 65_536;

/**
 * The largest size of a request line with all headers, which also limits each header value. It has room for a target
 * and for as many headers as HTTP/2 accepts on both runtimes (nghttp2's `NGHTTP2_MAX_HEADERSLEN`, 64 KiB).
 */
export const MAX_HEAD_BYTES = 131_072;

/** The largest body: 3 MiB, as in kube-apiserver (`pkg/server/config.go`, `MaxRequestBodyBytes`). */
export const MAX_BODY_BYTES = 3_145_728;

/**
 * The size from which a body is large: it can occupy the only thread for a tenth of a second or longer. The server
 * handles one large body per user at a time, and serves other requests between its steps. Requests of kubelets are a
 * tenth of this size.
 */
export const LARGE_BODY_BYTES = 32_768;
