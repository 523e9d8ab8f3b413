/** x */
export function project(_kind: string, body: unknown): unknown {
  return body;
}
