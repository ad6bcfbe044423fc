// What the examples find around them in an application.
declare const user: { id: string }
declare const session: { id: string; startTime: number }
declare function generateId(): string
declare function generateSessionId(): string
