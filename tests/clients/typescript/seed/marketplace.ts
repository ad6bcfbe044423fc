import { trackMarketplaceSearch, trackMarketplaceView, trackMarketplaceConversion } from '@tallymark/client/collectors/marketplace-activity'

// Search
await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  body: JSON.stringify(trackMarketplaceSearch({
    searchQuery: 'image generation',
    category: 'ai-ml',
    sessionId: session.id,
  })),
})

// View
await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  body: JSON.stringify(trackMarketplaceView({
    serviceId: 'service-123',
    category: 'ai-ml',
    sessionId: session.id,
  })),
})

// Conversion
await fetch('https://analytics.api.mw/track', {
  method: 'POST',
  body: JSON.stringify(trackMarketplaceConversion({
    serviceId: 'service-123',
    category: 'ai-ml',
    orderId: 'ord-456',
    userId: user.id,
    sessionId: session.id,
  })),
})
