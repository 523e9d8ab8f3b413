/** Selectors that are used at the same time, parsed once: a long one takes forty times its length of memory. */
import type { Result } from "../../core/lib/result.ts";

/** A shorter selector is parsed for each request: finding a shared one would not be cheaper. */
const SHORTEST_SHARED = 256;

/**
 * A parser that answers a long text with the same value again, for as long as a request or a watch holds that value. The
 * value must not change.
 */
export function createSharedParser<T extends object>(
  parse: (text: string) => Result<T, string>,
): (text: string) => Result<T, string> {
  const shared = new Map<string, WeakRef<T>>();
  const released = new FinalizationRegistry<string>((text) => {
    // The text may have been parsed again in the meantime.
    if (shared.get(text)?.deref() === undefined) shared.delete(text);
  });
  return (text) => {
    if (text.length < SHORTEST_SHARED) return parse(text);
    const value = shared.get(text)?.deref();
    if (value !== undefined) return { ok: true, value };
    const parsed = parse(text);
    if (parsed.ok) {
      shared.set(text, new WeakRef(parsed.value));
      released.register(parsed.value, text);
    }
    return parsed;
  };
}
