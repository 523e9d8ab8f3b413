/** The calendar of expiring certificates: a table for each month, with days in UTC. */
import { capitalize } from "../../core/lib/printable.ts";
import { DAY_MS } from "../../core/lib/duration.ts";
import { isCertificateRecord, type RecordRow } from "../../core/report/record_rows.ts";
import type { UiElement, UiPage } from "../page.ts";
import { CertificateTable, describeHolder, MissingNotes } from "../parts.tsx";
import { CERTIFICATES_LIVE, readCertificates } from "../sources.ts";

const WEEKDAYS: readonly (readonly [short: string, long: string])[] = [
  ["Mo", "Monday"],
  ["Tu", "Tuesday"],
  ["We", "Wednesday"],
  ["Th", "Thursday"],
  ["Fr", "Friday"],
  ["Sa", "Saturday"],
  ["Su", "Sunday"],
];
/** The largest number of certificates that are listed for a day; the list of certificates has the rest. */
const MAX_LISTED = 200;

export const calendarPage: UiPage = {
  path: "/certificates/calendar",
  live: CERTIFICATES_LIVE,
  async render(context) {
    const { now } = context;
    const { rows, missing } = await readCertificates(context);
    const { missed, months, later, omitted } = createExpiryCalendar(rows, now);
    const today = now.toISOString().slice(0, 10);
    return {
      title: "Expiry calendar",
      body: (
        <>
          <p>
            <a href="/certificates">All certificates</a>
          </p>
          <MissingNotes notes={missing} />
          <div id="calendar" data-swap>
            <p class="lead">{describeNext(months, now)}</p>
            {omitted === 0 ? "" : (
              <p class="faint">
                {`Left out: ${formatCount(omitted)} that ${omitted === 1 ? "is" : "are"} replaced or revoked.`}
              </p>
            )}
            {missed.length === 0 ? "" : (
              <section aria-labelledby="missed">
                <h2 id="missed">Expired without a replacement</h2>
                <CertificateTable
                  rows={missed}
                  now={now}
                  caption="Certificates that expired in the last 30 days and were not replaced"
                  empty=""
                />
              </section>
            )}
            <div class="months">{months.map((month) => <Month month={month} today={today} />)}</div>
            {later.length === 0 ? "" : (
              <section aria-labelledby="later">
                <h2 id="later">Later</h2>
                <ul>{later.map(({ year, count }) => <li>{`${year}: ${formatCount(count)}`}</li>)}</ul>
              </section>
            )}
          </div>
        </>
      ),
    };
  },
};

function Month({ month, today }: { readonly month: CalendarMonth; readonly today: string }): UiElement {
  const { key, title, weeks, count } = month;
  const days = weeks.flat().filter((day) => day !== undefined && day.rows.length > 0) as readonly CalendarDay[];
  return (
    <section class="month" aria-labelledby={`month-${key}`}>
      <h2 id={`month-${key}`}>{title}</h2>
      <table class="calendar">
        <caption>{`${capitalize(formatCount(count))} ${count === 1 ? "ends" : "end"} in ${title}`}</caption>
        <thead>
          <tr>
            {WEEKDAYS.map(([short, long]) => (
              <th scope="col">
                <abbr title={long}>{short}</abbr>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {weeks.map((week) => <tr>{week.map((day) => <Day day={day} today={today} />)}</tr>)}
        </tbody>
      </table>
      <ul class="ends">
        {days.map(({ date, rows }) => (
          <li id={`day-${date}`}>
            <time datetime={date}>{date}</time>
            <ul>
              {rows.slice(0, MAX_LISTED).map((row) => (
                <li>
                  <End row={row} />
                </li>
              ))}
            </ul>
            {rows.length > MAX_LISTED ? <p>{`and ${rows.length - MAX_LISTED} more`}</p> : ""}
          </li>
        ))}
      </ul>
    </section>
  );
}

function Day({ day, today }: { readonly day: CalendarDay | undefined; readonly today: string }): UiElement {
  if (day === undefined) return <td class="none" />;
  const { date, rows } = day;
  const current = date === today ? "date" : undefined;
  if (rows.length === 0) return <td aria-current={current}>{day.day}</td>;
  return (
    <td class="ending" aria-current={current}>
      <a href={`#day-${date}`}>
        {day.day}{" "}
        <b>
          {rows.length}
          <span class="unseen">{rows.length === 1 ? " ends" : " end"}</span>
        </b>
      </a>
    </td>
  );
}

function End({ row }: { readonly row: RecordRow }): UiElement {
  const { serialNumber, notAfter } = row.record.spec;
  const time = (notAfter ?? "").slice(11, 16);
  const words = `${time} ${describeHolder(row)}`;
  if (serialNumber === undefined) return <span>{words}</span>;
  return <a href={`/certificates/${encodeURIComponent(serialNumber)}`}>{words}</a>;
}

function describeNext(months: readonly CalendarMonth[], now: Date): string {
  const days = months.flatMap(({ weeks }) => weeks.flat());
  const next = days.find((day) => day !== undefined && day.rows.length > 0);
  const first = next?.rows[0];
  if (next === undefined || first === undefined) return "Nothing expires within a year.";
  const soon = days.flatMap((day) => day?.rows ?? [])
    .filter(({ record }) => Date.parse(record.spec.notAfter ?? "") - now.getTime() < 30 * DAY_MS).length;
  const within = soon === 0 ? "none of them within 30 days" : `${soon === 1 ? "one" : soon} within 30 days`;
  return `The next certificate to expire is that of ${describeHolder(first)}, on ${next.date}; ${within}.`;
}

function formatCount(count: number): string {
  return count === 1 ? "one certificate" : `${count} certificates`;
}

interface CalendarDay {
  /** The date, such as `2026-12-24`. */
  readonly date: string;
  readonly day: number;
  /** The certificates that end on this day, the first to end first. */
  readonly rows: readonly RecordRow[];
}

/** One month with its weeks, which begin on Monday. Days of other months are undefined. */
interface CalendarMonth {
  /** The month, such as `2026-12`. */
  readonly key: string;
  /** The name of the month, such as `December 2026`. */
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
  /** The number of certificates that are replaced or revoked, so that their end needs no attention. */
  readonly omitted: number;
}

const MISSED_MS = 30 * DAY_MS;
/** This month and the next twelve, which include the end of a certificate that is issued today for a year. */
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

/** Creates the calendar. Certificates that are replaced or revoked are only counted. */
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
