"""What this service alone decides, without I/O: bookings, marks, the day's baseline, time exits."""
