import type { Schedule } from './schedule.ts';

const DAYS = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'] as const;

/** A schedule in words: `Every day at 02:30`, `Mondays and Fridays at 02:30`, `Only by hand`. */
export function describeSchedule(schedule: Schedule): string {
  switch (schedule.type) {
    case 'manual':
      return 'Only by hand';
    case 'hourly':
      return schedule.minute === 0 ? 'Every hour, on the hour' : `Every hour, ${minutes(schedule.minute)} past`;
    case 'daily':
      return `Every day at ${schedule.time}`;
    case 'weekly':
      return `${weekdays(schedule.weekdays)} at ${schedule.time}`;
    case 'cron':
      return `Cron: ${schedule.expression}`;
  }
}

function minutes(count: number): string {
  return count === 1 ? '1 minute' : `${count} minutes`;
}

function weekdays(numbers: readonly number[]): string {
  const wanted = numbers.join('');
  if (wanted === '1234567') return 'Every day';
  if (wanted === '12345') return 'Monday to Friday';
  if (wanted === '67') return 'Weekends';
  const names = numbers.map((number) => `${DAYS[number - 1] ?? ''}s`);
  const last = names.pop() ?? '';
  return names.length === 0 ? last : `${names.join(', ')} and ${last}`;
}
