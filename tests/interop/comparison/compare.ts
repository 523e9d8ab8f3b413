/** Finds and formats the differences of two blanked answers. */
import { isRecord } from "../../../core/lib/record.ts";

export interface Difference {
  /** Dotted path, such as `body.metadata.labels.a` or `headers.content-type`. */
  readonly path: string;
  /** The value of the real server, `undefined` if it has none. */
  readonly "kube-apiserver": unknown;
  readonly tlsboot: unknown;
}

/** Finds every place where two values differ, in the order of the first. The order of members counts too. */
export function findDifferences(real: unknown, ours: unknown, path: string): readonly Difference[] {
  if (Object.is(real, ours)) return [];
  if (Array.isArray(real) && Array.isArray(ours)) {
    const length = Math.max(real.length, ours.length);
    return Array.from({ length }, (_, index) => findDifferences(real[index], ours[index], `${path}[${index}]`)).flat();
  }
  if (isRecord(real) && isRecord(ours)) {
    const keys = [...new Set([...Object.keys(real), ...Object.keys(ours)])];
    const inner = keys.flatMap((key) => findDifferences(real[key], ours[key], `${path}.${key}`));
    if (inner.length > 0) return inner;
    const [realOrder, ourOrder] = [Object.keys(real).join(" "), Object.keys(ours).join(" ")];
    return realOrder === ourOrder ? [] : [{ path: `${path} (order)`, "kube-apiserver": realOrder, tlsboot: ourOrder }];
  }
  return [{ path, "kube-apiserver": real, tlsboot: ours }];
}

const MAX_VALUE = 1_500;

/** Formats differences, of which it lists at most `max`. */
export function formatDifferences(differences: readonly Difference[], max = Infinity): readonly string[] {
  const show = (value: unknown): string => {
    const text = value === undefined ? "(nothing)" : JSON.stringify(value);
    return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE)}…` : text;
  };
  return [
    ...differences.slice(0, max).flatMap((difference) => [
      `  ${difference.path}`,
      `    kube-apiserver: ${show(difference["kube-apiserver"])}`,
      `    tlsboot:        ${show(difference.tlsboot)}`,
    ]),
    ...differences.length > max ? [`  and ${differences.length - max} more`] : [],
  ];
}
