/** One object of a kind in three encodings, as `k8s.io/api` publishes them (`testdata/HEAD`, v0.37.2). */
export interface Vector {
  /** Compact JSON in Go's key order. */
  readonly json: string;
  readonly yaml: string;
  /** Base64 of the whole body, envelope included. */
  readonly protobuf: string;
}
