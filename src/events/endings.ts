import type { RunKind, TerminalStatus } from '../runs/state.ts';
import { errorEvent, event, type RunEvent } from './catalogue.ts';

export interface EndFigures {
  /** `ERR_…`, when the run failed. */
  readonly code?: string | undefined;
  readonly filesTransferred?: number;
  readonly bytesTransferred?: number;
  readonly durationSeconds?: number;
}

/** What a run tells at its end: for a failed one the error first, then the result. */
export function endEvents(kind: RunKind, status: TerminalStatus, figures: EndFigures = {}): RunEvent[] {
  const why = status === 'failed' && figures.code !== undefined ? [errorEvent(figures.code)] : [];
  return [...why, endEvent(kind, status, figures)];
}

function endEvent(kind: RunKind, status: TerminalStatus, figures: EndFigures): RunEvent {
  const code = figures.code === undefined ? {} : { code: figures.code };
  if (kind === 'drill') {
    if (status === 'cancelled') return event('DRILL_CANCELLED');
    return status === 'failed' ? event('DRILL_FAILED', code) : event('DRILL_SUCCESS');
  }
  if (kind === 'restore') {
    if (status === 'cancelled') return event('RESTORE_CANCELLED');
    return status === 'failed' ? event('RESTORE_FAILED', code) : event('RESTORE_COMPLETED', {});
  }
  if (kind === 'maintenance') {
    if (status === 'cancelled') return event('MAINTENANCE_CANCELLED');
    return status === 'failed' ? event('MAINTENANCE_FAILED', code) : event('MAINTENANCE_COMPLETED', {});
  }
  if (status === 'cancelled') return event(kind === 'backup' ? 'CANCELLED' : 'VALIDATION_CANCELLED');
  const params = {
    status,
    ...code,
    ...(figures.filesTransferred === undefined ? {} : { files_transferred: figures.filesTransferred }),
    ...(figures.bytesTransferred === undefined ? {} : { bytes_transferred: figures.bytesTransferred }),
    ...(figures.durationSeconds === undefined ? {} : { duration_seconds: figures.durationSeconds }),
  };
  if (kind === 'validation') {
    return status === 'failed' ? event('VALIDATION_FAILED', code) : event('VALIDATION_SUCCESS');
  }
  switch (status) {
    case 'success':
      return event('COMPLETED_SUCCESS', params);
    case 'warning':
      return event('COMPLETED_WARNING', params);
    case 'partial_success':
      return event('COMPLETED_PARTIAL', params);
    case 'failed':
      return event('COMPLETED_FAILED', params);
  }
}
