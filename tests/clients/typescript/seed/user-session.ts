import { trackUserSession } from '@tallymark/client/collectors/user-behavior'

await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  body: JSON.stringify(trackUserSession({
    userId: user.id,
    sessionId: generateSessionId(),
    duration: Date.now() - session.startTime,
    cohort: '2025-10', // Month of user signup
  })),
})
