/** A calendar of the certificates that are about to expire, by days in UTC. */
import { isCertificateRecord, type RecordRow } from "../core/report/record_rows.ts";

export interface CalendarDay {
  /** The date, such as `2026-12-24`. */
  readonly date: string;
  readonly day: number;
  /** The certificates that end on this day, in the order of their ends. */
  readonly rows: readonly RecordRow[];
}

/** One month with its weeks, which begin on Monday. Days of other months are undefined. */
export interface CalendarMonth {
  /** The month, such as `2026-12`. */
  readonly key: string;
  /** The month in words, such as `December 2026`. */
  readonly title: string;
  readonly count: number;
  readonly weeks: readonly (readonly (CalendarDay | undefined)[])[];
}

/** The calendar from today on. */
export interface ExpiryCalendar {
  /** Certificates that expired within the last 30 days and were not replaced, the latest first. */
  readonly missed: readonly RecordRow[];
  /** The months, from this one to the same one of the next year, in which a certificate ends. */
  readonly months: readonly CalendarMonth[];
  /** The number of certificates that end later, by year. */
  readonly later: readonly { readonly year: number; readonly count: number }[];
  /** The number of certificates whose end concerns no one, because they are replaced or revoked. */
  readonly omitted: number;
}

const DAY_MS = 86_400_000;
const MISSED_MS = 30 * DAY_MS;
/** This month and the next twelve, so that what is issued today for a year is among them. */
const MONTHS = 13;
const MONTH_NAMES = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
] as const;

/** Creates the calendar. Certificates that are replaced or revoked may end, so they are only counted. */
export function createExpiryCalendar(rows: Iterable<RecordRow>, now: Date): ExpiryCalendar {
  const ending: { readonly row: RecordRow; readonly end: Date }[] = [];
  const missed: typeof ending = [];
  let omitted = 0;
  for (const row of rows) {
    const end = new Date(row.record.spec.notAfter ?? Number.NaN);
    if (!isCertificateRecord(row.record) || Number.isNaN(end.getTime())) continue;
    if (row.status === "valid") ending.push({ row, end });
    else if (row.status === "expired") {
      const isMissed = row.replacedBy === undefined && now.getTime() - end.getTime() <= MISSED_MS;
      if (isMissed) missed.push({ row, end });
    } else if (end >= now) omitted++;
  }
  ending.sort((a, b) => a.end.getTime() - b.end.getTime());
  missed.sort((a, b) => b.end.getTime() - a.end.getTime());
  const first = monthIndex(now);
  const byMonth = Map.groupBy(ending, ({ end }) => monthIndex(end));
  const months = [...byMonth].filter(([index]) => index < first + MONTHS).map(([index, entries]) =>
    createMonth(index, entries)
  );
  const others = ending.filter(({ end }) => monthIndex(end) >= first + MONTHS);
  const later = [...Map.groupBy(others, ({ end }) => end.getUTCFullYear())]
    .map(([year, entries]) => ({ year, count: entries.length }));
  return { missed: missed.map(({ row }) => row), months, later, omitted };
}

/** Counts months from the year 0. */
function monthIndex(date: Date): number {
  return date.getUTCFullYear() * 12 + date.getUTCMonth();
}

function createMonth(index: number, entries: readonly { row: RecordRow; end: Date }[]): CalendarMonth {
  const [year, month] = [Math.floor(index / 12), index % 12];
  const key = `${year}-${pad(month + 1)}`;
  const byDay = Map.groupBy(entries, ({ end }) => end.getUTCDate());
  const length = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  // The first of the month falls on Monday (0) to Sunday (6).
  const offset = (new Date(Date.UTC(year, month, 1)).getUTCDay() + 6) % 7;
  const cells: (CalendarDay | undefined)[] = Array.from({ length: offset });
  for (let day = 1; day <= length; day++) {
    cells.push({ date: `${key}-${pad(day)}`, day, rows: (byDay.get(day) ?? []).map(({ row }) => row) });
  }
  const weeks: (CalendarDay | undefined)[][] = [];
  for (let at = 0; at < cells.length; at += 7) {
    weeks.push(Array.from({ length: 7 }, (_, weekday) => cells[at + weekday]));
  }
  return { key, title: `${MONTH_NAMES[month]} ${year}`, count: entries.length, weeks };
}

function pad(number: number): string {
  return String(number).padStart(2, "0");
}
