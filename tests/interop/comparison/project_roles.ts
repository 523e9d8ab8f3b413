/** x */
export function projectRoles(body: unknown): unknown {
  return body;
}
export function projectRules(body: unknown): unknown {
  return body;
}
