/** Placeholders in the corpus: values from a server's answers, fixtures, and long texts. */
import { Buffer } from "node:buffer";

export type Variables = Readonly<Record<string, unknown>>;

const PLACEHOLDER = /\$\$\{|\$\{([^{}]*)\}/g;
const WHOLE = /^\$\{([A-Za-z][\w.-]*)\}$/;
/** The nesting depth of placeholders: the variables of a `resources` entry may contain `${csr:web}`. */
const MAX_DEPTH = 8;

/**
 * Fills the placeholders of a text: `${name}`, `${repeat:N:text}`, `${b64:text}`; `$${` stands for `${`. Throws an Error
 * for an unknown name.
 */
export function fillText(text: string, variables: Variables, depth = 0): string {
  return text.replace(PLACEHOLDER, (whole, name: string | undefined) => {
    if (name === undefined) return "${";
    if (name.startsWith("b64:")) return Buffer.from(name.slice("b64:".length), "utf8").toString("base64");
    const repeat = /^repeat:(\d+):([^]*)$/.exec(name);
    if (repeat !== null) return repeat[2]!.repeat(Number(repeat[1]));
    const value = getValue(name, variables);
    if (typeof value === "object" && value !== null) throw new Error(`${whole} is not a text`);
    return depth < MAX_DEPTH ? fillText(String(value), variables, depth + 1) : String(value);
  });
}

/**
 * Fills a whole value; a text that is a single placeholder is replaced by the value itself, whatever its type. The
 * members of a `<<` value are merged into the object.
 */
export function fillValue(value: unknown, variables: Variables, depth = 0): unknown {
  if (typeof value === "string") {
    const whole = WHOLE.exec(value);
    if (whole === null) return fillText(value, variables);
    const found = getValue(whole[1]!, variables);
    return depth < MAX_DEPTH ? fillValue(found, variables, depth + 1) : found;
  }
  if (Array.isArray(value)) return value.map((item) => fillValue(item, variables, depth));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, item]) => {
      const filled = fillValue(item, variables, depth);
      return key === "<<" ? Object.entries(filled as object) : [[fillText(key, variables), filled]];
    }),
  );
}

function getValue(name: string, variables: Variables): unknown {
  if (name in variables) return variables[name];
  throw new Error(`\${${name}} is not known; known are ${Object.keys(variables).sort().join(", ")}`);
}
