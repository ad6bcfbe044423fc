"""The pure core: from decoded events to exact counts, money and bounded sketches."""
