import { trackServiceExecution } from '@tallymark/client/collectors/service-executions'

const event = trackServiceExecution({
  serviceId: 'service-123',
  executionId: generateId(),
  latencyMs: 245,
  success: true,
  userId: user.id,
  sessionId: session.id,
})

await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  headers: { 'Content-Type': 'application/json' },
  body: JSON.stringify(event),
})
